//! A menshen with connectors that check passwords, and logins at them.

use std::fs;
use std::io;
use std::path::Path;

use menshen::clock::Clock;
use menshen::config::Config;
use menshen::login::connector::local::PasswordHash;
use menshen::login::connector::{AuthnRequest, AuthnResponse, ConnectorError, RefusalReason};
use menshen::login::fields::Fields;
use menshen::login::pending::Pending;
use menshen::login::return_to::ReturnTo;
use menshen::login::{BeginRequest, Login, LoginError};
use menshen::run::{self, Running};
use menshen::store::{ConnectorId, SessionOrigin};
use menshen::telemetry::Telemetry;

use super::Outcome;
use super::ldap_directory::{LdapServer, Person, SERVICE_DN, SERVICE_PASSWORD};

pub(super) const PASSWORD: &str = "correct horse battery staple";

/// The people of every connector.
pub(super) const LOGINS: [&str; 2] = ["zhangsan", "lisizhao"];

/// A hash of bcrypt with cost 8, of some other password.
const BCRYPT: &str = "$2y$08$abcdefghijklmnopqrstuuiL3WB9BMICkzkDzCbKS.08r/3QJHg4.";

/// A running menshen with the connectors `argon2id`, `bcrypt` and `ldap`.
pub(super) struct Site {
    running: Running,
    _directory: LdapServer,
}

/// A connector of a site.
#[derive(Clone)]
pub(super) struct Source {
    login: Login,
    connector: ConnectorId,
}

impl Site {
    /// Keeps its files in a new folder inside this one.
    pub(super) async fn start(parent: &Path, name: &str) -> Outcome<Self> {
        let folder = &parent.join(name);
        fs::create_dir(folder)?;
        let directory = LdapServer::start().await?;
        for login in LOGINS {
            directory.add(Person::new(login, PASSWORD));
        }
        let argon2id = PasswordHash::create(PASSWORD)?;
        let argon2id = people_file(folder, "argon2id", &argon2id)?;
        let bcrypt = people_file(folder, "bcrypt", BCRYPT)?;
        let text = format!(
            "[server]\nlisten = ['127.0.0.1:0']\nexternal_url = 'http://localhost'\n\
             [store]\nurl = 'sqlite://{folder}/menshen.db'\n[log]\nlevel = 'error'\n\
             [login]\nbegins_per_minute = 10_000_000\nfinishes_per_minute = 10_000_000\n\
             wrong_passwords_per_login = 1_000_000\nwrong_passwords_per_client = 1_000_000\n\
             [connector.argon2id]\nlogin_prefix = 'argon2id-'\nlocal.people = '{argon2id}'\n\
             [connector.bcrypt]\nlogin_prefix = 'bcrypt-'\nlocal.people = '{bcrypt}'\n\
             [connector.ldap.ldap]\nurl = '{url}'\nstart_tls = false\nbind_dn = '{SERVICE_DN}'\n\
             bind_password = '{SERVICE_PASSWORD}'\nbase = 'ou=people,dc=corp'\n",
            folder = folder.display(),
            url = directory.url(),
        );
        let config = Config::parse(&text, "bench.toml")?;
        let telemetry = Telemetry::writing_to(&config.log, Box::new(io::sink()));
        Ok(Self {
            running: run::start_with_telemetry(config, Clock::system(), telemetry).await?,
            _directory: directory,
        })
    }

    pub(super) fn source(&self, connector: &str) -> Outcome<Source> {
        Ok(Source {
            login: self.running.live().site().login.clone(),
            connector: ConnectorId::try_from(connector.to_owned())?,
        })
    }

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

/// Writes a people file; returns its path.
fn people_file(folder: &Path, name: &str, hash: &str) -> Outcome<String> {
    let people = LOGINS.map(|login| format!("[{login}]\npassword = '{hash}'\n"));
    let path = folder.join(format!("{name}.toml"));
    fs::write(&path, people.concat())?;
    Ok(path.display().to_string())
}

impl Source {
    /// A whole login, from the first step to the stored session.
    pub(super) async fn sign_in(&self, login: &str) -> Outcome<()> {
        let attempt = self.begin(login, PASSWORD).await?;
        match attempt.finish().await? {
            true => Ok(()),
            false => Err(format!("{login} is refused").into()),
        }
    }

    /// Begins a login; the password is checked by [`Attempt::finish`].
    pub(super) async fn begin(&self, login: &str, password: &str) -> Outcome<Attempt> {
        let begun = self.login.begin(begin_request(&self.connector)).await?;
        let fields = [("login", login), ("password", password)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let response = AuthnResponse {
            fields: Fields::new(fields.to_vec()),
            client: None,
            origin: SessionOrigin::default(),
            kind: None,
        };
        Ok(Attempt {
            login: self.login.clone(),
            pending: begun.pending,
            response,
        })
    }
}

/// A begun login with a user name and a password.
pub(super) struct Attempt {
    login: Login,
    pending: Pending,
    response: AuthnResponse,
}

impl Attempt {
    /// Whether the person is signed in; an error if the password was not checked.
    pub(super) async fn finish(self) -> Outcome<bool> {
        match &*self.login.finish(self.pending, self.response).await? {
            Ok(_) => Ok(true),
            Err(LoginError::Connector(ConnectorError::Refused {
                why: RefusalReason::WrongPassword,
                ..
            })) => Ok(false),
            Err(error) => Err(error.to_string().into()),
        }
    }
}

fn begin_request(via: &ConnectorId) -> BeginRequest<'_> {
    BeginRequest {
        via,
        mode: None,
        return_to: ReturnTo::login_host_root(),
        automatic: false,
        retries: 0,
        ticket_for: None,
        for_frame: false,
        replaces: None,
        client: None,
        user_agent: "benchmark",
        authn: AuthnRequest::default(),
        link_to: None,
    }
}
