//! Admission: finds, links or creates the account of an authenticated profile.

use std::sync::Arc;

use super::People;
use super::directory_fields::directory_fields;
use super::profile::{MappedProfile, Mapping, Profile, ProfileMappingError, UserFields};
use crate::clock::Timestamp;
use crate::store::{
    Account, AccountId, Admission, AdmissionOutcome, AdmittedIdentity, ConnectorId,
    DirectoryFields, LinkField, LocalEntitlements, LoginName, StoreError, Subject,
};
use crate::text;
use crate::wording::{Text, error_of_text};

/// How the accounts of a connector are found and created.
#[derive(Clone, Debug)]
pub struct AdmissionPolicy {
    /// The connector whose people are admitted.
    pub connector: ConnectorId,
    /// Maps a profile to login name and fields.
    pub mapping: Mapping,
    /// Whether a person without an account gets one.
    pub create: bool,
    /// What menshen itself gives a person whose account is created.
    pub join: Option<Arc<LocalEntitlements>>,
    /// Verified fields by which an identity may be linked to an existing account.
    pub link_by: Vec<LinkField>,
    /// Whether a later login or refresh updates the fields; otherwise those of the first login stay.
    pub sync: bool,
}

impl AdmissionPolicy {
    /// The normalized verified fields by which an identity may be linked, in the order of `link_by`.
    pub(super) fn links_among(
        &self,
        verified_fields: &[(LinkField, String)],
    ) -> Vec<(LinkField, String)> {
        let found = self.link_by.iter().filter_map(|link| {
            let verified = verified_fields.iter();
            verified.clone().find(|(field, _)| field == link).cloned()
        });
        found.collect()
    }
}

/// Why an authenticated person gets no session.
#[derive(Debug)]
pub enum AdmitError {
    /// The profile could not be mapped.
    Map(ProfileMappingError),
    /// The identity is unknown, and unknown people get no account.
    Unknown {
        /// The login name from the mapping.
        login: LoginName,
    },
    /// Several accounts have the verified field by which the identity would be linked.
    AmbiguousLink {
        /// The login name from the mapping.
        login: LoginName,
        field: LinkField,
    },
    /// The login name belongs to another account.
    LoginTaken {
        /// The login name from the mapping.
        login: LoginName,
        /// The account with this login name.
        by: AccountId,
    },
    Closed {
        account: AccountId,
    },
    LocalPersonChanged,
    Store(StoreError),
}

impl AdmitError {
    fn text(&self) -> Text {
        match self {
            Self::Map(_) => Text::fixed("map the profile to an account", "无法从资料得出账号"),
            Self::Unknown { login } => text!(
                "there is no account {login}, and this connector creates none",
                "没有账号 {login}，而此认证源不新建账号"
            ),
            Self::AmbiguousLink { login, field } => {
                let field = field.as_str();
                text!(
                    "{login} cannot be linked: several accounts have the same {field}",
                    "{login} 无法关联：有几个账号的 {field} 相同"
                )
            }
            Self::LoginTaken { login, by } => text!(
                "the login {login} already belongs to account {by}, of another source",
                "登录名 {login} 已属于另一个认证源的账号 {by}"
            ),
            Self::Closed { account } => {
                text!("the account {account} is closed", "账号 {account} 已关闭")
            }
            Self::LocalPersonChanged => Text::fixed(
                "an administrator changed the person during the login",
                "登录过程中管理员修改了此人",
            ),
            Self::Store(_) => Text::fixed("admit the person", "无法为此人找到或建立账号"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Map(source) => Some(source),
            Self::Store(source) => Some(source),
            Self::Unknown { .. }
            | Self::AmbiguousLink { .. }
            | Self::LoginTaken { .. }
            | Self::Closed { .. }
            | Self::LocalPersonChanged => None,
        }
    }
}

error_of_text!(AdmitError, caused);

/// Why a person is admitted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Login,
    /// A bearer token of the person is used for the first time.
    BearerToken,
}

impl People {
    /// Finds, links or creates the account of a person who logs in. The returned fields include what menshen
    /// itself gives the person.
    pub async fn admit(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
    ) -> Result<(Account, MappedProfile), AdmitError> {
        let found = self
            .find_or_create(policy, profile, Occasion::Login)
            .await?;
        Ok(self.admitted_at_login(policy, profile, found))
    }

    /// As [`Self::admit`], for a login with a one-time token that has this hash. All processes together admit
    /// somebody once with it; `None` for the others. A person who is not admitted has not spent it.
    pub async fn admit_once(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        token: (&[u8; 32], Timestamp),
    ) -> Result<Option<(Account, MappedProfile)>, AdmitError> {
        let occasion = Occasion::Login;
        let (admission, mapped) = self.admission_of(policy, profile, occasion)?;
        let admitted = self.store.admit_once(&admission, token.0, token.1).await;
        let Some(outcome) = admitted.map_err(AdmitError::Store)? else {
            return Ok(None);
        };
        let found = self.account_of(policy, profile, outcome, mapped).await?;
        Ok(Some(self.admitted_at_login(policy, profile, found)))
    }

    fn admitted_at_login(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        (admitted, mut mapped): (AdmittedIdentity, MappedProfile),
    ) -> (Account, MappedProfile) {
        let (via, subject) = (&policy.connector, &profile.subject);
        self.sessions
            .update_after_login(via, subject, &admitted, &mapped.fields);
        if let Some(local) = &admitted.account.local {
            mapped.fields.add_local(local);
        }
        (admitted.account, mapped)
    }

    /// Finds, links or creates the account of a person whose bearer token is used for the first time. The
    /// token may be older than the last login, so it changes no known identity.
    pub async fn admit_token_holder(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
    ) -> Result<(Account, MappedProfile), AdmitError> {
        let policy = AdmissionPolicy {
            sync: false,
            ..policy.clone()
        };
        let found = self.find_or_create(&policy, profile, Occasion::BearerToken);
        let (admitted, mapped) = found.await?;
        Ok((admitted.account, mapped))
    }

    async fn find_or_create(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        occasion: Occasion,
    ) -> Result<(AdmittedIdentity, MappedProfile), AdmitError> {
        let (admission, mapped) = self.admission_of(policy, profile, occasion)?;
        let outcome = self.store.admit(&admission).await;
        let outcome = outcome.map_err(AdmitError::Store)?;
        self.account_of(policy, profile, outcome, mapped).await
    }

    fn admission_of(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        occasion: Occasion,
    ) -> Result<(Admission, MappedProfile), AdmitError> {
        let mapped = policy.mapping.map(&profile.raw).map_err(AdmitError::Map)?;
        let verified_fields = normalized_fields(&profile.verified_fields);
        let admission = Admission {
            connector: policy.connector.clone(),
            subject: profile.subject.clone(),
            login: mapped.login.clone(),
            links: policy.links_among(&verified_fields),
            vouched: verified_fields,
            create: policy.create,
            join: policy.join.clone(),
            sync: policy.sync,
            is_login: occasion == Occasion::Login,
            entitlements: serde_json::to_string(&mapped.fields).expect("fields are plain data"),
            fields: directory_fields(&mapped.fields),
            local_revision: profile.local_revision,
            at: self.clock.now(),
        };
        Ok((admission, mapped))
    }

    async fn account_of(
        &self,
        policy: &AdmissionPolicy,
        profile: &Profile,
        outcome: AdmissionOutcome,
        mut mapped: MappedProfile,
    ) -> Result<(AdmittedIdentity, MappedProfile), AdmitError> {
        let login = mapped.login.clone();
        match outcome {
            AdmissionOutcome::Account(admitted) => {
                if !policy.sync {
                    let (via, subject) = (&policy.connector, &profile.subject);
                    let account = &admitted.account.id;
                    let stored = self.stored_fields(via, subject, account).await;
                    mapped.fields = stored.map_err(AdmitError::Store)?;
                }
                Ok((admitted, mapped))
            }
            AdmissionOutcome::Unknown => Err(AdmitError::Unknown { login }),
            AdmissionOutcome::AmbiguousLink { field } => {
                Err(AdmitError::AmbiguousLink { login, field })
            }
            AdmissionOutcome::LoginTaken { by } => Err(AdmitError::LoginTaken { login, by }),
            AdmissionOutcome::Closed(account) => Err(AdmitError::Closed { account }),
            AdmissionOutcome::LocalPersonChanged => Err(AdmitError::LocalPersonChanged),
        }
    }

    /// The stored fields of an identity.
    pub(super) async fn stored_fields(
        &self,
        via: &ConnectorId,
        subject: &Subject,
        account: &AccountId,
    ) -> Result<UserFields, StoreError> {
        let identities = self.store.identities(account).await?;
        let identity = identities
            .into_iter()
            .find(|(connector, known, _)| connector == via && known == subject);
        // If the identity has just been removed, no session is minted, and its fields do not matter.
        let text = identity.map_or_else(|| "{}".to_owned(), |(_, _, fields)| fields);
        serde_json::from_str(&text).map_err(|_| self.store.report_damaged("identity"))
    }

    /// An admission that succeeds only for a known identity and changes none of its fields.
    pub(super) fn admission_of_known(
        &self,
        via: &ConnectorId,
        subject: &Subject,
        login: LoginName,
    ) -> Admission {
        Admission {
            connector: via.clone(),
            subject: subject.clone(),
            login,
            links: Vec::new(),
            vouched: Vec::new(),
            create: false,
            join: None,
            sync: false,
            is_login: false,
            entitlements: "{}".to_owned(),
            fields: DirectoryFields::default(),
            local_revision: None,
            at: self.clock.now(),
        }
    }
}

/// Normalizes verified fields: the store compares them byte by byte.
pub(super) fn normalized_fields(fields: &[(LinkField, String)]) -> Vec<(LinkField, String)> {
    let normalized = fields
        .iter()
        .map(|(field, value)| (*field, normalize(*field, value)));
    normalized.filter(|(_, value)| !value.is_empty()).collect()
}

fn normalize(field: LinkField, value: &str) -> String {
    match field {
        LinkField::Email => value.trim().to_ascii_lowercase(),
        LinkField::Mobile => {
            let digits: String = value
                .chars()
                .filter(|c| c.is_ascii_digit() || *c == '+')
                .collect();
            // A number without a country code is one of China, too.
            digits
                .strip_prefix("+86")
                .map(str::to_owned)
                .unwrap_or(digits)
        }
    }
}
