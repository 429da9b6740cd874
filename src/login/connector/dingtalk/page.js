// Asks the DingTalk client who is using it, and brings its code to menshen.
(function () {
  "use strict";
  var page = document.getElementById("app-login");
  var title = document.getElementById("title");
  var isAnswered = false;
  if (!page) {
    return;
  }

  function attribute(name) {
    return page.getAttribute("data-" + name);
  }

  function fail() {
    if (!isAnswered) {
      page.textContent = attribute("no-code");
    }
  }

  function show(request) {
    var answer = null;
    try {
      answer = JSON.parse(request.responseText);
    } catch (error) {
      answer = null;
    }
    if (request.status === 200 && answer && typeof answer.return_to === "string") {
      window.location.replace(answer.return_to);
    } else if (answer && answer.title) {
      title.textContent = answer.title;
      page.textContent = answer.detail || attribute("no-code");
    } else {
      page.textContent = attribute("no-code");
    }
  }

  function bring(result) {
    var code = result && (result.code || result.authCode);
    if (isAnswered || typeof code !== "string" || !code) {
      return;
    }
    isAnswered = true;
    var request = new XMLHttpRequest();
    request.open("POST", attribute("login"));
    request.setRequestHeader("Content-Type", "application/json");
    request.setRequestHeader("Accept", "application/json");
    request.onload = function () {
      show(request);
    };
    request.onerror = function () {
      page.textContent = attribute("no-code");
    };
    request.send(JSON.stringify({ code: code, state: attribute("state"), kind: "in-app" }));
  }

  function ask(dd) {
    var options = {
      corpId: attribute("corp-id"),
      clientId: attribute("client-id"),
      onSuccess: bring,
      onFail: fail
    };
    var permission = dd.runtime && dd.runtime.permission;
    var asked = null;
    try {
      if (permission && permission.requestAuthCode) {
        asked = permission.requestAuthCode(options);
      } else if (dd.requestAuthCode) {
        asked = dd.requestAuthCode(options);
      } else {
        fail();
      }
    } catch (error) {
      fail();
    }
    if (asked && typeof asked.then === "function") {
      asked.then(bring, fail);
    }
  }

  var dd = window.dd;
  if (!dd) {
    fail();
    return;
  }
  // The client may never answer, for example in a window that only claims to be it.
  window.setTimeout(fail, 8000);
  if (typeof dd.ready === "function") {
    dd.ready(function () {
      ask(dd);
    });
  } else {
    ask(dd);
  }
})();
