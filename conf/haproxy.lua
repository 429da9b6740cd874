-- The question that haproxy.cfg asks menshen before each request. Only HAProxy's own HTTP client is
-- used, so nothing has to be installed. The action's one argument is where menshen listens.

-- How long an answer may take, in milliseconds.
local patience = 5000

-- What menshen looks at besides the request line and who asks: what proves the caller, and what tells
-- a person going somewhere from a program.
local passed = {
  "cookie", "authorization", "accept", "accept-language", "user-agent", "origin", "referer",
  "x-requested-with", "access-control-request-method", "access-control-request-headers",
  "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site", "sec-fetch-user", "sec-purpose",
}

-- What menshen says of a caller, and how the application is told.
local identity = {
  ["x-auth-request-user"] = "X-Forwarded-User",
  ["x-auth-request-preferred-username"] = "X-Forwarded-Preferred-Username",
  ["x-auth-request-name"] = "X-Forwarded-Name",
  ["x-auth-request-email"] = "X-Forwarded-Email",
  ["x-auth-request-groups"] = "X-Forwarded-Groups",
  ["x-auth-request-access-token"] = "X-Forwarded-Access-Token",
  ["x-menshen-assertion"] = "X-Menshen-Assertion",
  -- A route's own: ["x-remote-user"] = "X-Remote-User".
}

-- What concerns menshen's connection to us, or what HAProxy writes itself.
local not_passed_on = {
  ["connection"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true, ["content-length"] = true,
}

-- Cookies that are menshen's; the application is not sent the one that says who somebody is here.
local function without_session(cookies)
  local kept = {}
  for pair in cookies:gmatch("[^;]+") do
    local name = pair:match("^%s*([^=%s]*)")
    if name ~= "menshen" and name ~= "__Host-menshen" and name ~= "__Secure-menshen" then
      kept[#kept + 1] = pair:match("^%s*(.-)%s*$")
    end
  end
  return table.concat(kept, "; ")
end

-- Every value of a header, as a list that starts at one.
local function values(headers, name)
  local list, found = {}, headers[name]
  for at = 0, found and #found or -1 do
    if found[at] ~= nil then list[#list + 1] = found[at] end
  end
  return list
end

local function ask(menshen, txn, sent)
  local headers = {}
  for _, name in ipairs(passed) do
    local list = values(sent, name)
    if #list > 0 then headers[name] = list end
  end
  -- Written here and nowhere else, whatever the client sent.
  headers["x-forwarded-method"] = { txn.sf:method() }
  headers["x-forwarded-proto"] = { txn.sf:ssl_fc() == "1" and "https" or "http" }
  headers["x-forwarded-host"] = { txn.sf:req_hdr("host") }
  headers["x-forwarded-uri"] = { txn.sf:pathq() }
  headers["x-forwarded-for"] = { txn.sf:src() }
  local question = menshen .. "/.menshen/forward-auth"
  return core.httpclient():get { url = question, headers = headers, timeout = patience }
end

local function answer_with(txn, said)
  local headers = {}
  for name in pairs(said.headers) do
    if not not_passed_on[name] then headers[name] = values(said.headers, name) end
  end
  txn:done(txn:reply { status = said.status, headers = headers, body = said.body })
end

core.register_action("menshen", { "http-req" }, function(txn, menshen)
  local sent = txn.http:req_get_headers()
  local said = ask(menshen, txn, sent)
  -- No answer at all: haproxy.cfg refuses whoever comes without a yes.
  if not said or not said.status or said.status == 0 then return end
  if said.status ~= 200 then return answer_with(txn, said) end

  for name, header in pairs(identity) do
    local list = values(said.headers, name)
    if #list == 1 then txn.http:req_set_header(header, list[1]) end
  end
  local cookies = values(sent, "cookie")
  if #cookies > 0 then
    txn.http:req_del_header("cookie")
    local kept = without_session(table.concat(cookies, "; "))
    if kept ~= "" then txn.http:req_set_header("Cookie", kept) end
  end
  local renewed = values(said.headers, "set-cookie")
  if renewed[1] then txn:set_var("txn.menshen_cookie", renewed[1]) end
  txn:set_var("txn.menshen_allows", true)
end, 1)
