//! The page of the legacy application, which shows the identity headers it received.

use std::fmt::Write as _;

use hyper::Method;
use percent_encoding::percent_decode_str;

/// The path of menshen that ends a session.
const SIGN_OUT: &str = "/.menshen/sign_out";

/// The entries of the menu; the application serves every path.
const MENU: [(&str, &str); 5] = [
    ("首页", "/"),
    ("待办事项", "/todo?filter=mine&page=1"),
    ("公告通知", "/notices"),
    ("通讯录", "/contacts"),
    ("回显", "/echo"),
];

/// The identity fields on the card, with the headers they are read from.
const IDENTITY_FIELDS: [(&str, &str, &[&str]); 5] = [
    ("登录名", "Login", &["x-forwarded-user", "x-remote-user"]),
    ("邮箱", "E-mail", &["x-forwarded-email"]),
    (
        "部门",
        "Departments",
        &["x-forwarded-departments", "x-remote-departments"],
    ),
    ("用户组", "Groups", &["x-forwarded-groups"]),
    ("工号", "Badge", &["x-forwarded-badge", "x-remote-badge"]),
];

/// Renders the page for a request; `link` is the name and URL of another application.
pub(super) fn render(
    title: &str,
    link: Option<(String, String)>,
    method: &Method,
    target: &str,
    headers: &[(String, String)],
) -> String {
    let title_text = escape(title);
    let hue = hue(title);
    let mut menu = String::new();
    for (name, address) in MENU {
        let current = if target == address {
            r#" aria-current="page""#
        } else {
            ""
        };
        push(
            &mut menu,
            format_args!(r#"<a href="{}"{current}>{name}</a>"#, escape(address)),
        );
    }
    if let Some((name, address)) = link {
        let (name, address) = (escape(&name), escape(&address));
        push(
            &mut menu,
            format_args!(r#"<a class="other" href="{address}">{name} ↗</a>"#),
        );
    }
    let card = card(headers);
    let host = header(headers, &["host"]).unwrap_or_default();
    let (method, target, host) = (escape(method.as_str()), escape(target), escape(&host));
    let rows = rows(headers);
    let count = headers.len();
    format!(
        r##"<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>{title_text}</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">
<style>:root{{--hue:{hue}}}{STYLE}</style></head><body>
<header><div class="in"><span class="seal" aria-hidden="true">{seal}</span>
<div><h1>{title_text}</h1><p lang="en">A legacy intranet application</p></div></div></header>
<nav aria-label="菜单"><div class="in">{menu}</div></nav>
<main class="in"><div class="pair">{card}
<section><h2>您请求的地址 <small lang="en">The address you asked for</small></h2>
<p class="address" data-target="{target}"><b>{method}</b> <code>{target}</code></p>
<p class="soft">主机 <code>{host}</code></p>
<p class="soft">这个系统没有一行登录代码：它只读请求头。未登录时您被送去登录，登录后回到原来的地址。<br>
<span lang="en">No login code in here: it only reads request headers.</span></p></section></div>
<section><h2>收到的请求头 <small lang="en">Request headers as received ({count})</small></h2>
<div class="scroll"><table><thead><tr><th>名称</th><th>值</th></tr></thead><tbody>{rows}</tbody></table></div>
<p class="soft"><i class="ours"></i>身份请求头 <span lang="en">identity headers</span></p></section>
</main><footer>{title_text} V3.2 · 建议使用 1024×768 以上分辨率浏览</footer></body></html>"##,
        seal = title_text.chars().next().unwrap_or('门'),
    )
}

fn card(headers: &[(String, String)]) -> String {
    let login = header(headers, &["x-forwarded-user", "x-remote-user"]);
    let Some(login) = login.filter(|login| !login.is_empty()) else {
        return r#"<section class="card" data-user=""><h2>您是谁？ <small lang="en">Who are you?</small></h2>
<div class="me"><span class="avatar nobody" aria-hidden="true">?</span><p><b>访客</b><br><span class="soft">没有收到身份请求头。<br>
<span lang="en">No identity headers were received.</span></span></p></div></section>"#
            .to_owned();
    };
    let name = header(headers, &["x-forwarded-name"]).filter(|name| !name.is_empty());
    let name = name.map_or_else(|| login.clone(), |name| decoded(&name));
    let initial = escape(&name.chars().take(1).collect::<String>());
    let mut facts = String::new();
    for (chinese, english, names) in IDENTITY_FIELDS {
        let value = header(headers, names).filter(|value| !value.is_empty());
        let value = match value {
            // Commas separate the elements; a comma within an element is percent-encoded.
            Some(list) => list
                .split(',')
                .map(|element| escape(&decoded(element.trim())))
                .collect(),
            None => vec!["<span class=\"soft\">—</span>".to_owned()],
        };
        let value = value.join("、");
        push(
            &mut facts,
            format_args!(
                r#"<dt>{chinese} <small lang="en">{english}</small></dt><dd>{value}</dd>"#
            ),
        );
    }
    format!(
        r#"<section class="card" data-user="{login}"><h2>您好！ <small lang="en">Welcome</small></h2>
<div class="me"><span class="avatar" aria-hidden="true">{initial}</span><p><b data-name>{name}</b><br>
<span class="soft">您已登录 <span lang="en">signed in</span></span></p></div>
<dl>{facts}</dl><a class="out" href="{SIGN_OUT}">注销 <small lang="en">Sign out</small></a></section>"#,
        login = escape(&login),
        name = escape(&name),
    )
}

/// The rows of the header table, identity headers first.
fn rows(headers: &[(String, String)]) -> String {
    let (identity, others): (Vec<_>, Vec<_>) =
        headers.iter().partition(|(name, _)| is_identity(name));
    let mut rows = String::new();
    for (name, value) in identity {
        let plain = decoded(value);
        let meaning = match plain == *value {
            true => String::new(),
            false => format!(r#"<br><span class="soft">= {}</span>"#, escape(&plain)),
        };
        let (name, value) = (escape(name), escape(value));
        push(
            &mut rows,
            format_args!(
                r#"<tr class="ours"><th>{name}</th><td><code>{value}</code>{meaning}</td></tr>"#
            ),
        );
    }
    for (name, value) in others {
        let (name, value) = (escape(name), escape(value));
        push(
            &mut rows,
            format_args!("<tr><th>{name}</th><td><code>{value}</code></td></tr>"),
        );
    }
    rows
}

fn is_identity(name: &str) -> bool {
    let forwarded = name.starts_with("x-forwarded-") && !TRANSPORT.contains(&name);
    forwarded || name.starts_with("x-remote-") || name.starts_with("x-menshen-")
}

/// Forwarding headers that describe the transport and not the user.
const TRANSPORT: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-uri",
];

fn header(headers: &[(String, String)], names: &[&str]) -> Option<String> {
    let found = |name: &&str| headers.iter().find(|(key, _)| key == *name);
    names.iter().find_map(found).map(|(_, value)| value.clone())
}

fn decoded(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}

/// The colour of an application, derived from its title.
fn hue(title: &str) -> u32 {
    (title.bytes().map(u32::from).sum::<u32>() * 47 + 62) % 360
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn push(page: &mut String, piece: std::fmt::Arguments<'_>) {
    page.write_fmt(piece)
        .expect("writing to a string does not fail");
}

const STYLE: &str = "
*{box-sizing:border-box}body{margin:0;color:#26313d;background:#eef1f5;
font:15px/1.6 system-ui,'PingFang SC','Microsoft YaHei','WenQuanYi Micro Hei',sans-serif}
.in{max-width:1080px;margin:0 auto;padding:0 20px}small{font-weight:400;font-size:12px;color:#667485}
header{color:#fff;background:linear-gradient(100deg,hsl(var(--hue) 62% 24%),hsl(calc(var(--hue) + 22) 58% 38%))}
header .in{display:flex;align-items:center;gap:14px;padding-top:18px;padding-bottom:18px}
header h1{margin:0;font-size:24px;letter-spacing:.18em}header p{margin:0;font-size:13px;opacity:.85}
.seal{width:46px;height:46px;border:2px solid #fff9;border-radius:6px;display:grid;place-items:center;font-size:24px}
nav{background:linear-gradient(#fff,#e9edf2);border-bottom:1px solid #c9d2dd}
nav .in{display:flex;flex-wrap:wrap;gap:0 2px}
nav a{padding:10px 16px;color:hsl(var(--hue) 55% 28%);text-decoration:none;border-bottom:3px solid #0000}
nav a:hover{background:#fff}nav a[aria-current]{border-color:currentColor;font-weight:600;background:#fff}
nav .other{margin-left:auto}a:focus-visible{outline:3px solid #f0a020;outline-offset:-3px}
main{padding-top:20px!important}.pair{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,7fr);gap:18px}
section{background:#fff;border:1px solid #cfd7e1;border-top:3px solid hsl(var(--hue) 50% 40%);
border-radius:4px;padding:16px 20px;margin-bottom:18px}
h2{font-size:16px;margin:0 0 12px;padding-bottom:8px;border-bottom:1px dashed #d5dce5}
.me{display:flex;gap:14px;align-items:center}.me p{margin:0}.me b{font-size:20px}
.avatar{flex:none;width:58px;height:58px;border-radius:50%;display:grid;place-items:center;color:#fff;
font-size:26px;background:hsl(var(--hue) 50% 36%)}.nobody{background:#8a94a1}
dl{display:grid;grid-template-columns:auto 1fr;gap:5px 16px;margin:14px 0}dt{color:#4c5a69}
dd{margin:0;overflow-wrap:anywhere;font-weight:600}dd .soft{font-weight:400}.soft{color:#5d6b7b;font-size:13.5px}
.out{display:inline-block;padding:7px 20px;border:1px solid #b9c4d1;border-radius:4px;background:linear-gradient(#fff,#eef1f5);
color:#26313d;text-decoration:none}.out:hover{background:#e4e9ef}
.address{background:#f5f7fa;border:1px solid #dde3ea;border-radius:4px;padding:10px 12px;overflow-wrap:anywhere}
code{font:13px/1.5 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{border:1px solid #dde3ea;padding:6px 10px;text-align:left;vertical-align:top;font-size:13px;line-height:1.5}thead th{background:#f0f3f7}
tbody th{font:13px/1.5 ui-monospace,Menlo,Consolas,monospace;white-space:nowrap;width:1%}
tr.ours>*{background:#fff7dc}i.ours{display:inline-block;width:12px;height:12px;background:#fff7dc;border:1px solid #d8c98e;margin-right:6px}
footer{text-align:center;color:#667485;font-size:12px;padding:6px 16px 26px}
@media(max-width:720px){.in{padding:0 12px}.pair{display:block}nav a{padding:9px 10px}nav .other{margin-left:0}
section{padding:14px}tbody th{white-space:normal;width:36%;overflow-wrap:anywhere;min-width:104px}}";
