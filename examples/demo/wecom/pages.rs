//! The HTML pages of the simulated WeCom, without scripts or other files.

use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::authorize::{CHOICE, CONSENT, REFUSAL};
use super::people::{App, Member, OUTSIDER};
use super::state::State;

/// The language of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Chinese,
    English,
}

impl Language {
    /// The text in this language.
    pub(super) fn pick<'a>(self, chinese: &'a str, english: &'a str) -> &'a str {
        match self {
            Self::Chinese => chinese,
            Self::English => english,
        }
    }

    /// The language tag for HTML.
    fn tag(self) -> &'static str {
        self.pick("zh-CN", "en")
    }
}

/// The login page: a decorative QR code and the people who may scan it.
pub(super) fn login(
    state: &State,
    app: &App,
    host: &str,
    address: &str,
    language: Language,
) -> String {
    let mut people = String::new();
    for (index, member) in state.members.iter().enumerate() {
        let link = with_parameter(address, CHOICE, &member.userid);
        let badge = badge(member, language);
        let place = department_path(state, member, language);
        person(
            &mut people,
            index,
            &link,
            &member.userid,
            &member.name,
            &place,
            badge,
        );
    }
    let outsider = language.pick("外部联系人", "External contact");
    let place = language.pick("用微信，不是本企业成员", "Uses WeChat, no member here");
    let badge = language.pick("非成员", "no member");
    let link = with_parameter(address, CHOICE, OUTSIDER);
    person(
        &mut people,
        state.members.len(),
        &link,
        OUTSIDER,
        outsider,
        place,
        badge,
    );
    let body = format!(
        r#"<section class="scan"><h1>{title}</h1>{code}
<p class="hint">{hint}</p><p class="to">{to} <b>{app}</b><br><code>{host}</code></p></section>
<section class="who"><h2>{question}</h2><p class="hint">{explain}</p><ul>{people}</ul>
<a class="refuse" data-refuse href="{refuse}">{refusal}</a></section>"#,
        title = language.pick("企业微信登录", "WeCom login"),
        code = decorative_code(host),
        hint = language.pick("这里本该用手机扫码", "A phone would scan this code"),
        to = language.pick("登录到", "Signing in to"),
        app = escape(&app.name),
        host = escape(host),
        question = language.pick("扫码的是谁？", "Who is scanning?"),
        explain = language.pick(
            "选一位员工，就当是他用手机扫了码并点了“确认”。",
            "Choose somebody, as if they had scanned the code and confirmed."
        ),
        refuse = escape(&with_parameter(address, REFUSAL, "1")),
        refusal = language.pick("拒绝登录", "Refuse"),
    );
    shell(
        language,
        language.pick("企业微信登录（模拟）", "WeCom login (simulated)"),
        "wide",
        &body,
    )
}

/// The consent page for sharing personal fields.
pub(super) fn consent(
    state: &State,
    app: &App,
    userid: &str,
    address: &str,
    language: Language,
) -> String {
    let member = state.member(userid);
    let body = format!(
        r#"<section class="ask"><h1>{app}</h1><p>{asks}</p>
<ul class="fields"><li>{avatar}</li><li>{mobile}</li><li>{mail}</li></ul>
<p class="hint">{as_whom} <b data-userid="{userid}">{name}</b></p>
<a class="agree" data-consent href="{agree}">{agreeing}</a>
<a class="refuse" data-refuse href="{refuse}">{refusal}</a></section>"#,
        app = escape(&app.name),
        asks = language.pick(
            "申请获取您的以下信息：",
            "asks to see these facts about you:"
        ),
        avatar = language.pick("头像、性别", "Picture and gender"),
        mobile = language.pick("手机号", "Mobile number"),
        mail = language.pick("邮箱、企业邮箱", "E-mail addresses"),
        as_whom = language.pick("当前成员：", "You are"),
        userid = escape(userid),
        name = escape(member.map_or(userid, |member| &member.name)),
        agree = escape(&with_parameter(address, CONSENT, "1")),
        agreeing = language.pick("同意", "Agree"),
        refuse = escape(&with_parameter(address, REFUSAL, "1")),
        refusal = language.pick("拒绝", "Refuse"),
    );
    shell(
        language,
        language.pick("授权（模拟）", "Consent (simulated)"),
        "narrow",
        &body,
    )
}

/// An error page: the vendor's message and an optional explanation.
pub(super) fn notice(language: Language, what: &str, why: &str) -> String {
    let body = format!(
        r#"<section class="ask"><p class="mark" aria-hidden="true">!</p><h1>{}</h1><p class="hint">{}</p></section>"#,
        escape(what),
        escape(why)
    );
    shell(language, what, "narrow", &body)
}

/// Escapes text for HTML.
pub(super) fn escape(text: &str) -> String {
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

/// Adds a query parameter to a URL.
pub(super) fn with_parameter(address: &str, name: &str, value: &str) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!(
        "{address}{separator}{name}={}",
        utf8_percent_encode(value, NON_ALPHANUMERIC)
    )
}

/// Adds a person who may scan the code.
fn person(
    page: &mut String,
    index: usize,
    link: &str,
    userid: &str,
    name: &str,
    place: &str,
    badge: &str,
) {
    let initial = escape(&name.chars().take(1).collect::<String>());
    let badge = match badge {
        "" => String::new(),
        text => format!(r#"<span class="badge">{text}</span>"#),
    };
    let (link, userid, name, place) = (escape(link), escape(userid), escape(name), escape(place));
    let hue = (index * 67 + 205) % 360;
    write!(
        page,
        r#"<li><a href="{link}" data-userid="{userid}"><span class="face" style="--hue:{hue}" aria-hidden="true">{initial}</span><span class="name"><b>{name}</b> <small>{userid}</small><br><small>{place}</small></span>{badge}</a></li>"#
    )
    .expect("writing to a string does not fail");
}

fn badge(member: &Member, language: Language) -> &'static str {
    match (member.visible, member.status) {
        (false, _) => language.pick("不在可见范围", "out of range"),
        (true, 1) => "",
        (true, 2) => language.pick("已禁用", "disabled"),
        (true, 4) => language.pick("未激活", "not active"),
        (true, _) => language.pick("已离职", "left"),
    }
}

/// The path of a member's first department, and the member's position; at most fifteen levels.
fn department_path(state: &State, member: &Member, language: Language) -> String {
    let mut names = Vec::new();
    let mut id = member.department.first().copied().unwrap_or(1);
    for _ in 0..15 {
        match state
            .departments
            .iter()
            .find(|department| department.id == id)
        {
            Some(department) if department.id != 1 => {
                names.push(language.pick(&department.name, &department.name_en));
                id = department.parent;
            }
            _ => break,
        }
    }
    names.reverse();
    let path = names.join(" / ");
    if member.position.is_empty() {
        path
    } else {
        format!("{path} · {}", member.position)
    }
}

/// An image that looks like a QR code but contains no data.
fn decorative_code(seed: &str) -> String {
    let mut noise = seed.bytes().fold(0x9E37_79B9_u32, |sum, byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let mut dots = String::new();
    for y in 0..25_u32 {
        for x in 0..25_u32 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let corner = !(8..=16).contains(&x) && y < 8 || x < 8 && y > 16;
            let middle = (9..16).contains(&x) && (10..15).contains(&y);
            if !corner && !middle && noise & 0x0400_0000 != 0 {
                write!(dots, "M{x} {y}h1v1h-1z").expect("writing to a string does not fail");
            }
        }
    }
    for (x, y) in [(0, 0), (18, 0), (0, 18)] {
        write!(dots, "M{x} {y}h7v7h-7zm1 1v5h5v-5zm1 1h3v3h-3z")
            .expect("writing to a string does not fail");
    }
    format!(
        r#"<svg class="code" viewBox="-1 -1 27 27" aria-hidden="true"><path fill-rule="evenodd" d="{dots}"/><text x="12.5" y="13.7" text-anchor="middle">模拟</text></svg>"#
    )
}

/// A whole page with this body, and a line that says that it is simulated; `kind` is a CSS class.
pub(super) fn shell(language: Language, title: &str, kind: &str, body: &str) -> String {
    let (title, tag) = (escape(title), language.tag());
    let disclaimer = language.pick(
        "<b>模拟</b> 这不是企业微信，只是演示和测试用的替身；没有真的身份，也不会连到外网。",
        "<b>Simulated</b> This is not WeCom but a stand-in for demo and tests; nobody here is real.",
    );
    format!(
        r#"<!doctype html><html lang="{tag}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">
<style>{STYLE}</style></head><body><main class="{kind}"><p class="plainly">{disclaimer}</p>
<div class="card">{body}</div></main></body></html>"#
    )
}

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1d2733;--soft:#64748b;--paper:#fff;--back:#e9eef4;--line:#dfe6ee;
--blue:#1d5fc4;--amber:#8a4b00;--amberback:#fff3d9}
@media(prefers-color-scheme:dark){:root{--ink:#e7edf4;--soft:#9aa9bb;--paper:#182230;--back:#0e1520;
--line:#2a3849;--blue:#7db2ff;--amber:#ffd591;--amberback:#3a2b10}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);
font:16px/1.55 system-ui,'PingFang SC','Microsoft YaHei','WenQuanYi Micro Hei',sans-serif}
main{margin:0 auto;padding:5vh 16px 32px}.wide{max-width:860px}.narrow{max-width:440px}
.plainly{margin:0 0 14px;padding:9px 14px;border-radius:10px;background:var(--amberback);color:var(--amber);font-size:14px}
.plainly b{border:1px solid;border-radius:5px;padding:0 6px;margin-right:6px}
.card{display:flex;background:var(--paper);border-radius:16px;box-shadow:0 8px 32px #0d1b2a1f;overflow:hidden}
section{padding:28px}.scan{flex:0 0 300px;text-align:center;border-right:1px solid var(--line)}
.who{flex:1;min-width:0}.ask{flex:1;text-align:center}
h1{font-size:21px;margin:0 0 16px}h2{font-size:18px;margin:0}.hint,.to{color:var(--soft);font-size:14px;margin:4px 0 12px}
.code{width:212px;padding:10px;border:1px solid var(--line);border-radius:12px;background:#fff;fill:#1d2733}
.code text{font-size:2.9px;font-weight:700;fill:#1d5fc4}
.to b{color:var(--ink)}code{font-size:13px;overflow-wrap:anywhere}
ul{list-style:none;margin:0 0 16px;padding:0}.who li+li{border-top:1px solid var(--line)}
.who li a{display:flex;align-items:center;gap:12px;min-height:60px;padding:8px;color:inherit;text-decoration:none;border-radius:10px}
.who li a:hover{background:var(--back)}a:focus-visible{outline:3px solid var(--blue);outline-offset:2px}
.face{flex:none;width:42px;height:42px;border-radius:10px;display:grid;place-items:center;color:#fff;font-weight:600;
background:hsl(var(--hue) 48% 33%)}
.name{flex:1;min-width:0;line-height:1.4}small{color:var(--soft);font-size:13px}
.badge{flex:none;font-size:12px;border-radius:99px;padding:2px 9px;background:var(--amberback);color:var(--amber)}
.refuse,.agree{display:block;text-align:center;padding:12px;border-radius:10px;text-decoration:none;margin-top:10px}
.refuse{color:var(--ink);border:1px solid var(--line)}.refuse:hover{background:var(--back)}
.agree{background:#1d5fc4;color:#fff}.fields{text-align:left;border:1px solid var(--line);border-radius:10px}
.fields li{padding:10px 14px}.fields li+li{border-top:1px solid var(--line)}
form.staff{display:flex;align-items:center;gap:12px;min-height:56px;padding:8px}
.dismiss{flex:none;font:inherit;font-size:14px;padding:6px 14px;border-radius:10px;border:1px solid var(--line);
background:none;color:var(--amber);cursor:pointer}
.mark{width:52px;height:52px;margin:4px auto 16px;border-radius:50%;display:grid;place-items:center;
font-size:26px;font-weight:700;background:var(--amberback);color:var(--amber)}
@media(max-width:680px){main{padding-top:12px}.card{flex-direction:column}section{padding:20px 16px}
.scan{flex:none;border-right:0;border-bottom:1px solid var(--line)}.code{width:148px}}";
