// Posts the ticket to the frame that opened this tab. The browser delivers it only to that origin.
(function () {
  "use strict";
  var ways = document.getElementById("hand-over");
  var opener = window.opener;
  if (!ways || !opener) {
    return;
  }
  var to = ways.getAttribute("data-to");
  window.addEventListener("message", function (event) {
    if (event.source === opener && event.origin === to && event.data === "menshen-ticket-taken") {
      window.close();
    }
  });
  opener.postMessage({ menshenTicket: ways.getAttribute("data-ticket") }, to);
})();
