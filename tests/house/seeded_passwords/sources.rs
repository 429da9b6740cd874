//! The people with the seeded passwords, at local accounts and at a directory.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::traces::passwords;
use crate::ldap_directory::{LdapServer, Person, SERVICE_DN, SERVICE_PASSWORD};
use crate::setup::{NO_LOGIN_LIMITS, Setup};
use crate::stores::TempDir;
use crate::upstream::TempFolder;

/// A cheap hash of argon2id.
pub(super) fn hash(password: &str) -> String {
    let argon2id = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(16, 1, 1, None).unwrap(),
    );
    let (salt, mut hash) = (menshen::keys::random::<16>(), [0; 32]);
    argon2id
        .hash_password_into(password.as_bytes(), &salt, &mut hash)
        .unwrap();
    let [salt, hash] = [&salt[..], &hash].map(|bytes| STANDARD_NO_PAD.encode(bytes));
    format!("$argon2id$v=19$m=16,t=1,p=1${salt}${hash}")
}

/// The login of the person with this password at a connector.
pub(super) fn login_of(connector: &str, number: usize) -> String {
    format!("{connector}-person{number}")
}

/// Every password has its person at the connectors `house` (local) and `staff` (ldap).
pub(super) struct Sources {
    pub(super) folder: TempFolder,
    /// The folder of the store.
    pub(super) store: TempDir,
    pub(super) directory: LdapServer,
}

impl Sources {
    pub(super) async fn start() -> Self {
        let folder = TempFolder::new();
        let directory = LdapServer::start().await.unwrap();
        let mut people = String::new();
        for (number, password) in passwords().iter().enumerate() {
            let (login, hash) = (login_of("house", number), hash(password));
            people.push_str(&format!("[{login}]\npassword = '{hash}'\n"));
            directory.add(Person::new(&login_of("staff", number), password));
        }
        folder.write("people.toml", &people);
        Self {
            folder,
            store: TempDir::new(),
            directory,
        }
    }

    pub(super) fn setup(&self) -> Setup {
        let tables = format!(
            "{NO_LOGIN_LIMITS}wrong_passwords_per_login = 100000\nwrong_passwords_per_client = 100000\n\
             [connector.house.local]\npeople = '{}'\n\
             [connector.staff.ldap]\nurl = '{}'\nstart_tls = false\nbind_dn = '{SERVICE_DN}'\n\
             bind_password = '{SERVICE_PASSWORD}'\nbase = 'ou=people,dc=corp'\n",
            self.folder.path("people.toml").display(),
            self.directory.url(),
        );
        Setup::default()
            .tables(&tables)
            .store(&self.store.url())
            .access_log()
    }
}
