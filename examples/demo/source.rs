//! The system at which the people of the demo sign in: a connector, and what to try with it.

mod steps;

use std::error::Error;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use menshen::login::connector::local::PasswordHash;
use menshen::wording::Text;
use url::Url;

use super::dingtalk::{self, DingTalk};
use super::lark::Lark;
use super::ldap_directory::{LdapServer, Person, SERVICE_DN, SERVICE_PASSWORD};
use super::oidc::OidcProvider;
use super::wecom::{AGENT_ID, CORP_ID, EVENT_AES_KEY, EVENT_TOKEN, Options, SECRET, WeCom};
use super::yunzhijia::Yunzhijia;

/// The values of `--source`, and what they are.
pub(super) const SOURCES: [(&str, Text); 7] = [
    (
        "wecom",
        Text::fixed("WeCom (the default)", "企业微信（默认）"),
    ),
    ("dingtalk", Text::fixed("DingTalk", "钉钉")),
    ("lark", Text::fixed("Feishu", "飞书")),
    ("yunzhijia", Text::fixed("Yunzhijia", "云之家")),
    ("oidc", Text::fixed("an OpenID provider", "OpenID 提供方")),
    (
        "ldap",
        Text::fixed("an LDAP directory with passwords", "LDAP 目录，用密码登录"),
    ),
    (
        "local",
        Text::fixed("local accounts with passwords", "本地账号，用密码登录"),
    ),
];

/// A person of the sources that are no product of one company.
pub(super) struct Employee {
    pub(super) login: &'static str,
    password: &'static str,
    pub(super) name: &'static str,
    pub(super) department: &'static str,
    pub(super) badge: &'static str,
}

pub(super) const EMPLOYEES: [Employee; 2] = [
    Employee {
        login: "zhangsan",
        password: "zhangsan-password",
        name: "张三",
        department: "平台部",
        badge: "1001",
    },
    Employee {
        login: "lisi",
        password: "lisi-password",
        name: "李四",
        department: "财务部",
        badge: "1002",
    },
];

/// A running source.
pub(super) enum Source {
    WeCom(WeCom),
    Lark(Lark),
    DingTalk(DingTalk),
    Yunzhijia(Yunzhijia),
    Oidc(OidcProvider),
    Ldap(LdapServer),
    Local(PeopleFile),
}

impl Source {
    /// Starts the source with one of the names of [`SOURCES`] at this address, for a menshen at this port.
    pub(super) async fn start(
        name: &str,
        address: SocketAddr,
        office_port: u16,
    ) -> Result<Self, Box<dyn Error>> {
        match name {
            "wecom" => {
                let options = Options {
                    address,
                    ..Options::default()
                };
                let wecom = WeCom::start(options).await?;
                wecom.set_agent_domains(AGENT_ID, &[&format!("127.0.0.1:{office_port}")]);
                Ok(Self::WeCom(wecom))
            }
            "lark" => {
                let lark = Lark::start_at(address).await?;
                let url = format!("http://127.0.0.1:{office_port}");
                lark.register_redirect(&format!("{url}/.menshen/callback/feishu"));
                Ok(Self::Lark(lark))
            }
            "dingtalk" => {
                let dingtalk = DingTalk::start_at(address).await?;
                let callback = format!("http://127.0.0.1:{office_port}/.menshen/callback/ding");
                dingtalk.set_redirect_urls(&[&callback]);
                Ok(Self::DingTalk(dingtalk))
            }
            "yunzhijia" => {
                let clock = Arc::new(SystemTime::now);
                let yunzhijia = Yunzhijia::start_at(address, clock).await?;
                let entry = format!("http://127.0.0.1:{office_port}/.menshen/enter/yzj");
                yunzhijia.set_home(&entry);
                Ok(Self::Yunzhijia(yunzhijia))
            }
            "oidc" => {
                let callback = format!("http://127.0.0.1:{office_port}/.menshen/callback/sso");
                let provider = OidcProvider::start_at(address, callback).await?;
                Ok(Self::Oidc(provider))
            }
            "ldap" => {
                let directory = LdapServer::start_at(address).await?;
                for employee in &EMPLOYEES {
                    directory.add(entry(employee));
                }
                Ok(Self::Ldap(directory))
            }
            "local" => Ok(Self::Local(PeopleFile::create()?)),
            _ => Err(format!("no source `{name}`").into()),
        }
    }

    /// The tables of its connector, as an operator would write them.
    pub(super) fn connector(&self) -> String {
        match self {
            Self::WeCom(wecom) => wecom_connector(wecom),
            Self::Lark(lark) => {
                let connector = lark.connector_toml("feishu", "contacts = true");
                let badge = "[connector.feishu.mapping]\nbadge = \"profile.employee_no\"\n";
                connector + &Lark::events_toml("feishu") + badge
            }
            Self::DingTalk(dingtalk) => format!(
                r#"
        [connector.ding]
        display_name = {{ zh = "钉钉（模拟）", en = "DingTalk (simulated)" }}
        mapping.badge = "profile.job_number"
        [connector.ding.dingtalk]
        {settings}
        [connector.ding.dingtalk.events]
        token = "{token}"
        encoding_aes_key = "{key}"
        "#,
                settings = dingtalk.settings(),
                token = dingtalk::EVENT_TOKEN,
                key = dingtalk::EVENT_AES_KEY,
            ),
            // Yunzhijia sends no events, so menshen asks often.
            Self::Yunzhijia(yunzhijia) => {
                let lines = format!(
                    "contacts = true\nrevalidate = \"5s\"\norigins = [\"{}\"]",
                    yunzhijia.base_url()
                );
                let badge = "[connector.yzj.mapping]\nbadge = \"profile.jobNo\"\n";
                yunzhijia.connector_toml("yzj", &lines) + badge
            }
            Self::Oidc(provider) => provider.connector_toml("sso"),
            Self::Ldap(directory) => format!(
                r#"
        [connector.staff]
        display_name = {{ zh = "公司目录（模拟）", en = "Company directory (simulated)" }}
        mapping.badge = "profile.employeeNumber[0]"
        [connector.staff.ldap]
        url = "{url}"
        start_tls = false
        bind_dn = "{SERVICE_DN}"
        bind_password = "{SERVICE_PASSWORD}"
        base = "ou=people,dc=corp"
        login_attributes = ["uid", "mail"]
        "#,
                url = directory.url()
            ),
            Self::Local(file) => format!(
                r#"
        [connector.house]
        display_name = {{ zh = "本地账号", en = "Local account" }}
        [connector.house.local]
        people = "{}"
        "#,
                file.path().display()
            ),
        }
    }

    /// Sends the events of the source to menshen.
    pub(super) fn send_events_to(&self, office_url: &str) -> Result<(), url::ParseError> {
        let url = |id: &str| Url::parse(&format!("{office_url}/.menshen/events/{id}"));
        match self {
            Self::WeCom(wecom) => wecom.send_events_to(url("corp")?),
            Self::Lark(lark) => lark.send_events_to(url("feishu")?),
            Self::DingTalk(dingtalk) => dingtalk.send_events_to(url("ding")?),
            Self::Yunzhijia(_) | Self::Oidc(_) | Self::Ldap(_) | Self::Local(_) => {}
        }
        Ok(())
    }

    /// The files that menshen watches.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Local(file) => vec![file.path()],
            Self::WeCom(_)
            | Self::DingTalk(_)
            | Self::Lark(_)
            | Self::Yunzhijia(_)
            | Self::Oidc(_)
            | Self::Ldap(_) => Vec::new(),
        }
    }
}

fn wecom_connector(wecom: &WeCom) -> String {
    format!(
        r#"
        [connector.corp]
        display_name = {{ zh = "企业微信（模拟）", en = "WeCom (simulated)" }}
        mapping.badge = "profile.extattr.attrs[2].value"
        [connector.corp.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {AGENT_ID}
        secret = "{SECRET}"
        api_base = "{api}"
        authorize_url = "{authorize}"
        login_url = "{login}"
        [connector.corp.wecom.events]
        token = "{EVENT_TOKEN}"
        encoding_aes_key = "{EVENT_AES_KEY}"
        "#,
        api = wecom.base_url(),
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
    )
}

/// The entry of an employee in the directory.
fn entry(employee: &Employee) -> Person {
    Person::new(employee.login, employee.password)
        .with("displayName", &[employee.name])
        .with("ou", &[employee.department])
        .with("employeeNumber", &[employee.badge])
}

/// The people file of local accounts, in a folder of its own that is removed with it.
pub(super) struct PeopleFile {
    folder: PathBuf,
}

impl PeopleFile {
    fn create() -> Result<Self, Box<dyn Error>> {
        let mut text = String::new();
        for person in &EMPLOYEES {
            let hash = PasswordHash::create(person.password)?;
            text.push_str(&format!(
                "[{}]\npassword = \"{hash}\"\nname = \"{}\"\ndepartments = [\"{}\"]\nbadge = \"{}\"\n\n",
                person.login, person.name, person.department, person.badge
            ));
        }
        let folder = std::env::temp_dir().join(format!("menshen-demo-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let file = Self { folder };
        fs::write(file.path(), text)?;
        Ok(file)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("people.toml")
    }
}

impl Drop for PeopleFile {
    fn drop(&mut self) {
        // A folder that cannot be removed stays among the temporary files.
        let _: io::Result<()> = fs::remove_dir_all(&self.folder);
    }
}
