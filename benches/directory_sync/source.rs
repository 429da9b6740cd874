//! The simulated source of the benchmark, in a process of its own, so that its memory does not count.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::dingtalk::DingTalk;
use super::lark::Lark;
use super::wecom::{AGENT_ID, CORP_ID, Options, SECRET, WeCom};
use super::{Company, Outcome};

/// The argument with which the benchmark runs itself as the source.
pub(super) const SIMULATE: &str = "--simulate";
/// The end of the tables of the connector.
const END: &str = "# end";
/// Every so many people get another name.
const CHANGED_EVERY: usize = 100;

/// A kind of source.
#[derive(Clone, Copy, Debug)]
pub(super) enum SourceKind {
    WeCom,
    Lark,
    DingTalk,
}

impl SourceKind {
    /// The source with this name in `--source`.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::WeCom, Self::Lark, Self::DingTalk]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::WeCom => "wecom",
            Self::Lark => "lark",
            Self::DingTalk => "dingtalk",
        }
    }
}

/// The source in another process.
pub(super) struct Source {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// The tables of the connector `corp`.
    pub(super) connector: String,
}

impl Source {
    pub(super) fn start(kind: SourceKind, company: Company) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SIMULATE)
            .args(["--source", kind.name()])
            .args(["--people", &company.people.to_string()])
            .args(["--departments", &company.departments.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let mut source = Self {
            process,
            input: input.ok_or("no input")?,
            output: BufReader::new(output.ok_or("no output")?),
            connector: String::new(),
        };
        loop {
            let line = source.line()?;
            if line == END {
                return Ok(source);
            }
            source.connector += &line;
            source.connector.push('\n');
        }
    }

    /// Changes the name of every hundredth person.
    pub(super) fn change(&mut self) -> Outcome<()> {
        writeln!(self.input, "change")?;
        self.line().map(drop)
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err("the source ended".into()),
            _ => Ok(line.trim().to_owned()),
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // It ends by itself when its input ends.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A running simulation.
enum Simulation {
    WeCom(WeCom),
    Lark(Lark),
    DingTalk(DingTalk),
}

impl Simulation {
    async fn start(kind: SourceKind, company: Company) -> Outcome<Self> {
        let Company {
            people,
            departments,
        } = company;
        Ok(match kind {
            SourceKind::WeCom => {
                let wecom = WeCom::start(Options::default()).await?;
                wecom.generate_company(people, departments);
                Self::WeCom(wecom)
            }
            SourceKind::Lark => {
                let lark = Lark::start().await?;
                lark.generate_company(people, departments);
                Self::Lark(lark)
            }
            SourceKind::DingTalk => {
                let dingtalk = DingTalk::start().await?;
                dingtalk.generate_company(people, departments);
                Self::DingTalk(dingtalk)
            }
        })
    }

    fn connector(&self) -> String {
        match self {
            Self::WeCom(wecom) => format!(
                "[connector.corp.wecom]\ncorp_id = '{CORP_ID}'\nagent_id = {AGENT_ID}\n\
                 secret = '{SECRET}'\napi_base = '{}'",
                wecom.base_url()
            ),
            Self::Lark(lark) => lark.connector_toml("corp", "contacts = true"),
            Self::DingTalk(dingtalk) => {
                format!("[connector.corp.dingtalk]\n{}", dingtalk.settings())
            }
        }
    }

    fn change(&self, round: usize) {
        let new_name = |id: &str| format!("{id} {round}");
        match self {
            Self::WeCom(wecom) => wecom.members(|all| {
                for one in all.iter_mut().step_by(CHANGED_EVERY) {
                    one.name = new_name(&one.userid);
                }
            }),
            Self::Lark(lark) => lark.people(|all| {
                for one in all.iter_mut().step_by(CHANGED_EVERY) {
                    one.name = new_name(&one.user_id);
                }
            }),
            Self::DingTalk(dingtalk) => dingtalk.members(|all| {
                for one in all.iter_mut().step_by(CHANGED_EVERY) {
                    one.name = new_name(&one.userid);
                }
            }),
        }
    }
}

/// Runs the source: prints the tables of a connector to it, and changes people for each line that it reads.
pub(super) async fn simulate(kind: SourceKind, company: Company) -> Outcome<()> {
    let simulation = Simulation::start(kind, company).await?;
    println!("{}\n{END}", simulation.connector());
    let mut lines = std::io::stdin().lines();
    let mut round = 0;
    while let Some(Ok(_)) = tokio::task::block_in_place(|| lines.next()) {
        round += 1;
        simulation.change(round);
        println!("changed");
    }
    Ok(())
}
