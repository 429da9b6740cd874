// Receives the ticket from the tab and posts it to get a session cookie for this frame. A ticket of
// another frame is refused, because it does not match this frame's nonce cookie.
(function () {
  "use strict";
  var form = document.getElementById("redeem");
  var loginOrigin = form && form.getAttribute("data-login-origin");
  if (!loginOrigin) {
    return;
  }
  window.addEventListener("message", function (event) {
    var ticket = event.data && event.data.menshenTicket;
    if (event.origin !== loginOrigin || typeof ticket !== "string" || !form) {
      return;
    }
    if (event.source) {
      event.source.postMessage("menshen-ticket-taken", loginOrigin);
    }
    form.elements.t.value = ticket;
    // A redirect keeps the fragment of the address that was posted to.
    form.setAttribute("action", form.getAttribute("action") + window.location.hash);
    form.submit();
    form = null;
  });
})();
