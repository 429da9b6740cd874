//! `AdministratorLogins`: signs local administrators in to the console.
//!
//! Anybody can enter wrong passwords for any name, and after five in a minute no further one is verified for a
//! while. Wrong passwords in browsers in which the administrator has signed in before, and those on the machine
//! itself, have counts of their own, so that the others keep no administrator out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::config::LoginConfig;
use super::connector::ConnectorError;
use super::connector::credentials::PASSWORD_BYTES_MAX;
use super::connector::local::{HashSlots, InvalidHash, PasswordHash, verify_password};
use super::limits::{Limited, WrongPasswords};
use crate::client::Client;
use crate::clock::Clock;
use crate::keys::KeyRing;
use crate::people::administrators::Administrators;
use crate::setting::Period;
use crate::store::{Administrator, AdministratorName, StoreError};
use crate::wording::{Text, error_of_text};

mod known_browser;

pub use known_browser::KNOWN_FOR_S;
use known_browser::KnownBrowser;

/// How many wrong passwords a name or a client address may send in [`PAUSE`].
const WRONG_PASSWORDS_MAX: u32 = 5;
const PAUSE: Period = Period::s(60);

/// The key of the counts of wrong passwords, in place of the ID of a connector. IDs have no capital letter, so no
/// connector has this one.
const COUNTED_AT: &str = "Console";
/// The keys of the counts on the machine itself, and in browsers in which the administrator has signed in before.
const COUNTED_AT_MACHINE: &str = "Console, this machine";
const COUNTED_AT_BROWSER: &str = "Console, known browser";

/// Signs local administrators in. One per process, because it counts wrong passwords.
#[derive(Debug)]
pub struct AdministratorLogins {
    administrators: Administrators,
    wrong_passwords: Arc<WrongPasswords>,
    clock: Clock,
    /// The hash that is computed for a name that does not exist.
    nobody: Arc<PasswordHash>,
}

/// A request to sign in.
#[derive(Clone, Copy)]
pub struct AdministratorAttempt<'a> {
    pub name: &'a str,
    pub password: &'a str,
    /// The address of the client, or of the proxy that does not name it.
    pub address: IpAddr,
    /// The client, unless a proxy does not name it.
    pub client: Option<Client>,
    /// The cookie of [`AdministratorLogins::browser_cookie`].
    pub browser_cookie: Option<&'a str>,
}

impl fmt::Debug for AdministratorAttempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdministratorAttempt")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Why nobody is signed in.
#[derive(Debug)]
pub enum AdministratorLoginError {
    /// The name does not exist, or the password is wrong. Nothing tells which.
    Wrong {
        /// The administrator whose password it is not. For the log only.
        name: Option<AdministratorName>,
    },
    TooManyWrong(Limited),
    /// Too many hashes are being computed.
    Busy(ConnectorError),
    Store(StoreError),
    DamagedHash(InvalidHash),
}

impl AdministratorLoginError {
    fn text(&self) -> Text {
        match self {
            Self::Wrong { .. } => {
                Text::fixed("the name or the password is wrong", "名称或密码不正确")
            }
            Self::TooManyWrong(limited) => Text::of(limited),
            Self::Busy(_) => Text::fixed("the password was not verified", "没有验证密码"),
            Self::Store(_) => Text::fixed("read the administrator", "无法读取管理员"),
            Self::DamagedHash(_) => {
                Text::fixed("the stored hash cannot be used", "保存的哈希无法使用")
            }
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Busy(source) => Some(source),
            Self::Store(source) => Some(source),
            Self::DamagedHash(source) => Some(source),
            Self::Wrong { .. } | Self::TooManyWrong(_) => None,
        }
    }
}

error_of_text!(AdministratorLoginError, caused);

impl AdministratorLogins {
    pub fn new(administrators: Administrators, clock: Clock) -> Self {
        let limits = LoginConfig {
            wrong_passwords_per_login: WRONG_PASSWORDS_MAX,
            wrong_passwords_per_client: WRONG_PASSWORDS_MAX,
            wrong_passwords_pause: PAUSE,
            ..LoginConfig::default()
        };
        Self {
            administrators,
            wrong_passwords: WrongPasswords::new(&limits, clock.clone()),
            clock,
            nobody: Arc::new(PasswordHash::of_nobody()),
        }
    }

    /// The administrator with this name and password. Takes as long for a name that does not exist.
    pub async fn sign_in(
        &self,
        ring: &KeyRing,
        sent: AdministratorAttempt<'_>,
    ) -> Result<Administrator, AdministratorLoginError> {
        let name = sent.name.parse::<AdministratorName>().ok();
        let browser = self.known_browser(ring, name.as_ref(), sent.browser_cookie);
        let browser = browser.await.map_err(AdministratorLoginError::Store)?;
        let is_from_machine = sent.address.to_canonical().is_loopback();
        let begun = match &browser {
            // The cookie shows that its owner has signed in before, so only this browser waits.
            Some(browser) => {
                let counted_for = browser.counted_for();
                let counts = &self.wrong_passwords;
                counts.begin(COUNTED_AT_BROWSER, &counted_for, None).await
            }
            None => {
                let counted_at = match is_from_machine {
                    true => COUNTED_AT_MACHINE,
                    false => COUNTED_AT,
                };
                let counts = &self.wrong_passwords;
                counts.begin(counted_at, sent.name, sent.client).await
            }
        };
        let attempt = begun.map_err(AdministratorLoginError::TooManyWrong)?;
        let slots = match (&browser, is_from_machine) {
            (Some(_), _) => HashSlots::KnownBrowsers,
            (None, true) => HashSlots::Machine,
            (None, false) => HashSlots::Console,
        };
        match self.verify(name.as_ref(), sent.password, slots).await? {
            Ok(administrator) => Ok(administrator),
            Err(name) => {
                attempt.record_wrong();
                Err(AdministratorLoginError::Wrong { name })
            }
        }
    }

    /// The cookie that makes a browser known in which this administrator has just signed in.
    pub fn browser_cookie(&self, ring: &KeyRing, administrator: &Administrator) -> String {
        KnownBrowser::cookie(ring, administrator, self.clock.now())
    }

    /// The browser of a cookie, if this administrator has signed in there with the present password.
    async fn known_browser(
        &self,
        ring: &KeyRing,
        name: Option<&AdministratorName>,
        cookie: Option<&str>,
    ) -> Result<Option<KnownBrowser>, StoreError> {
        let opened = name.zip(cookie).and_then(|(name, cookie)| {
            let browser = KnownBrowser::open(ring, name, cookie, self.clock.now())?;
            Some((name, browser))
        });
        let Some((name, browser)) = opened else {
            return Ok(None);
        };
        let administrator = self.administrators.find(name).await?;
        let is_known = administrator.is_some_and(|known| browser.is_known_to(&known));
        Ok(is_known.then_some(browser))
    }

    /// The administrator whose password it is; otherwise the name, if it exists.
    async fn verify(
        &self,
        name: Option<&AdministratorName>,
        password: &str,
        slots: HashSlots,
    ) -> Result<Result<Administrator, Option<AdministratorName>>, AdministratorLoginError> {
        let found = match name {
            Some(name) => self.administrators.find(name).await,
            None => Ok(None),
        };
        let found = found.map_err(AdministratorLoginError::Store)?;
        let found = found.filter(|_| password.len() <= PASSWORD_BYTES_MAX);
        let hash = match &found {
            Some(administrator) => {
                let parsed = PasswordHash::parse(administrator.password_hash.expose());
                Arc::new(parsed.map_err(AdministratorLoginError::DamagedHash)?)
            }
            None => Arc::clone(&self.nobody),
        };
        let verified = verify_password(&hash, password, slots).await;
        let is_right = verified.map_err(AdministratorLoginError::Busy)?;
        Ok(match found {
            Some(administrator) if is_right => Ok(administrator),
            found => Err(found.map(|administrator| administrator.name)),
        })
    }
}
