//! The arguments of the demo, and its help.

use std::env::VarError;

use menshen::text;
use menshen::wording::Text;

use super::source::SOURCES;

/// The environment variable with the first port.
pub(super) const PORT_VARIABLE: &str = "MENSHEN_DEMO_PORT";
/// The first port by default.
const FIRST_PORT: u16 = 8080;

/// What the arguments ask for.
pub(super) enum Request {
    Help,
    /// Run with the source of this name.
    Run(&'static str),
}

/// The ports of the demo, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    /// Of the office application, behind menshen.
    pub(super) office: u16,
    /// Of the expenses application, behind menshen.
    pub(super) expenses: u16,
    /// Of the source.
    pub(super) source: u16,
}

impl Request {
    /// Reads the arguments without the name of the program; the error says what is wrong with them.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, Text> {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let name = match *arguments.as_slice() {
            ["-h" | "--help"] => return Ok(Self::Help),
            [] => Some("wecom"),
            ["--source", name] => Some(name),
            [argument] => argument.strip_prefix("--source="),
            _ => None,
        };
        let names = SOURCES.map(|(name, _)| name);
        let name = name.ok_or_else(|| {
            let names = names.join("|");
            text!(
                "usage: demo [--source {names}]; --help says more",
                "用法：demo [--source {names}]；--help 显示说明"
            )
        })?;
        let found = names.into_iter().find(|known| *known == name);
        found.map(Self::Run).ok_or_else(|| {
            let names = names.join(", ");
            text!(
                "no source `{name}`: choose one of {names}",
                "没有认证源 `{name}`：可以选 {names}"
            )
        })
    }
}

impl Ports {
    pub(super) fn from_environment() -> Result<Self, Text> {
        let first = match std::env::var(PORT_VARIABLE) {
            Ok(text) => text.parse().ok(),
            Err(VarError::NotPresent) => Some(FIRST_PORT),
            Err(VarError::NotUnicode(_)) => None,
        };
        let ports = first.filter(|first| *first > 0).and_then(|office| {
            let expenses = office.checked_add(1)?;
            let source = expenses.checked_add(1)?;
            Some(Self {
                office,
                expenses,
                source,
            })
        });
        ports.ok_or_else(|| {
            text!(
                "{PORT_VARIABLE} is the first of three ports, such as 18080",
                "{PORT_VARIABLE} 是三个端口中的第一个，例如 18080"
            )
        })
    }

    /// Another program listens at one of them.
    pub(super) fn taken(self) -> Text {
        let Self {
            office,
            expenses,
            source,
        } = self;
        text!(
            "another program listens at port {office}, {expenses} or {source} of this machine.\n\
             Set {PORT_VARIABLE} to the first of three free ports, such as {PORT_VARIABLE}=18080.",
            "本机的端口 {office}、{expenses} 或 {source} 已有别的程序在监听。\n\
             请把 {PORT_VARIABLE} 设为三个空闲端口中的第一个，例如 {PORT_VARIABLE}=18080。"
        )
    }
}

/// The help of the demo.
pub(super) fn help() -> Text {
    let sources =
        SOURCES.map(|(name, what)| text!("  {name:<12}{what}\n", "  {name:<12}{what:#}\n"));
    let sources = Text::join(&sources, &Text::fixed("", ""));
    text!(
        "An offline demo of menshen: two applications, menshen in front of them, and a simulated source of \
         people.\n\n\
         Usage: demo [--source SOURCE]\n\n\
         Sources:\n{sources}\n\
         It uses port {FIRST_PORT} and the next two of this machine; {PORT_VARIABLE}=18080 chooses others.\n\
         The texts are Chinese with a Chinese locale (LC_ALL, LC_MESSAGES, LANG). Ctrl-C stops it.",
        "menshen 的离线演示：两个应用，前面是 menshen，还有一个模拟的认证源。\n\n\
         用法：demo [--source 认证源]\n\n\
         认证源：\n{sources:#}\n\
         占用本机的端口 {FIRST_PORT} 和后面两个；{PORT_VARIABLE}=18080 可以换成别的。\n\
         中文语言环境下（LC_ALL、LC_MESSAGES、LANG）显示中文。按 Ctrl-C 结束。"
    )
}
