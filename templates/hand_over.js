// Posts the ticket to the frame that opened this tab. The browser delivers it only to that origin.
(function () {
  "use strict";
  var element = document.getElementById("hand-over");
  var opener = window.opener;
  if (!element || !opener) {
    return;
  }
  var frameOrigin = element.getAttribute("data-frame-origin");
  window.addEventListener("message", function (event) {
    if (event.source === opener && event.origin === frameOrigin && event.data === "menshen-ticket-taken") {
      window.close();
    }
  });
  opener.postMessage({ menshenTicket: element.getAttribute("data-ticket") }, frameOrigin);
})();
