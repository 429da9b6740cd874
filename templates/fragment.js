// Adds the URL fragment to the login, because browsers do not send it to the server.
(function () {
  "use strict";
  var link = document.getElementById("continue");
  var start = link && link.getAttribute("data-start");
  if (!start || !/^(\/(?![\/\\])|https?:\/\/)/.test(start)) {
    return;
  }
  var fragment = window.location.hash;
  var cut = start.indexOf("?") + 1;
  if (fragment.length > 1 && cut > 0) {
    var fields = start.slice(cut).split("&");
    for (var i = 0; i < fields.length; i += 1) {
      if (fields[i].slice(0, 3) === "rd=") {
        fields[i] += encodeURIComponent(fragment);
        break;
      }
    }
    start = start.slice(0, cut) + fields.join("&");
  }
  link.setAttribute("href", start);
  window.location.replace(start);
})();
