//! `PasswordHash`: the salted hash of a password, as `menshen passwd` prints it.

use std::fmt;
use std::sync::LazyLock;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use crate::keys;
use crate::text;
use crate::wording::{Text, error_of_text};

/// bcrypt uses no more bytes of a password than these.
const BCRYPT_PASSWORD_BYTES_MAX: usize = 72;

/// The costs of bcrypt that are accepted. The highest takes some seconds.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=16;

/// The lowest cost of bcrypt without a warning.
const BCRYPT_COST_RECOMMENDED_MIN: u32 = 10;

/// The most memory that one hash may take, in KiB.
pub(crate) const ARGON2_MEMORY_KIB_MAX: u32 = 1 << 20;

/// The most memory that a hash in the store may take, in KiB. It may come from an
/// administrator of the console, who need not be one of the machine.
const STORED_MEMORY_KIB_MAX: u32 = 256 << 10;

/// What a hash of bcrypt takes, in KiB.
const BCRYPT_MEMORY_KIB: u32 = 4;

/// The memory that a new hash takes, in KiB.
pub(crate) const DEFAULT_MEMORY_KIB: u32 = Params::DEFAULT_M_COST;

/// The most memory that one hash may fill in all its passes, in KiB. It takes some seconds.
const ARGON2_FILLED_KIB_MAX: u64 = 4 << 20;

/// The least memory, and the least that all passes fill, without a warning, in KiB: the weakest parameters
/// that OWASP recommends.
const ARGON2_MEMORY_KIB_RECOMMENDED_MIN: u32 = 7_168;
const ARGON2_FILLED_KIB_RECOMMENDED_MIN: u64 = 35_840;

const ARGON2_SALT_BYTES: std::ops::RangeInclusive<usize> = 8..=64;
const ARGON2_HASH_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// The alphabet of bcrypt. Some programs set the unused bits of the last character of a salt.
static BCRYPT_BASE64: LazyLock<GeneralPurpose> = LazyLock::new(|| {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::BCRYPT, config)
});

/// The hash of a password with its salt and its cost.
#[derive(Clone)]
pub struct PasswordHash {
    scheme: Scheme,
    /// Differs for any two hashes; reveals nothing about the password.
    id: [u8; 32],
}

#[derive(Clone)]
enum Scheme {
    Argon2id {
        params: Params,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    Bcrypt {
        cost: u32,
        salt: [u8; 16],
        hash: [u8; 23],
    },
}

/// Why a text is not accepted as the hash of a password. Never contains the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHash {
    Empty,
    UnknownScheme,
    DamagedArgon2id,
    Argon2Version,
    DamagedBcrypt,
    TooCostly,
    TooMuchMemory,
}

impl InvalidHash {
    fn text(&self) -> Text {
        match self {
            Self::Empty => Text::fixed("it is empty", "是空的"),
            Self::UnknownScheme => Text::fixed(
                "it is not a hash of argon2id or bcrypt",
                "不是 argon2id 或 bcrypt 的哈希",
            ),
            Self::DamagedArgon2id => {
                Text::fixed("it is a damaged hash of argon2id", "是损坏的 argon2id 哈希")
            }
            Self::Argon2Version => Text::fixed(
                "it is a hash of argon2id in another version than 19",
                "是版本不为 19 的 argon2id 哈希",
            ),
            Self::DamagedBcrypt => {
                Text::fixed("it is a damaged hash of bcrypt", "是损坏的 bcrypt 哈希")
            }
            Self::TooCostly => Text::fixed(
                "it needs too much memory or time for each login",
                "每次登录所需的内存或时间过多",
            ),
            Self::TooMuchMemory => Text::fixed(
                "it needs more than 256 MiB of memory for each login",
                "每次登录所需的内存超过 256 MiB",
            ),
        }
    }
}

error_of_text!(InvalidHash);

/// The hash could not be computed, because the memory was not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotComputed;

impl NotComputed {
    fn text(&self) -> Text {
        Text::fixed(
            "the memory for the hash of a password is not available",
            "没有足够的内存来计算密码哈希",
        )
    }
}

error_of_text!(NotComputed);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl PasswordHash {
    /// Parses `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`, or a hash of bcrypt with `$2a$`, `$2b$` or `$2y$`.
    pub fn parse(text: &str) -> Result<Self, InvalidHash> {
        let scheme = if text.is_empty() {
            return Err(InvalidHash::Empty);
        } else if let Some(rest) = text.strip_prefix("$argon2id$") {
            parse_argon2id(rest)?
        } else if let Some(rest) = ["$2a$", "$2b$", "$2y$"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix))
        {
            parse_bcrypt(rest)?
        } else {
            return Err(InvalidHash::UnknownScheme);
        };
        let id = keys::fingerprint(&[b"password hash", text.as_bytes()]);
        Ok(Self { scheme, id })
    }

    /// As [`Self::parse`], for a hash that is to be stored.
    pub(crate) fn parse_to_store(text: &str) -> Result<Self, InvalidHash> {
        let hash = Self::parse(text)?;
        match hash.memory_kib() > STORED_MEMORY_KIB_MAX {
            true => Err(InvalidHash::TooMuchMemory),
            false => Ok(hash),
        }
    }

    /// The memory that it takes to compute the hash, in KiB.
    pub(crate) fn memory_kib(&self) -> u32 {
        match &self.scheme {
            Scheme::Argon2id { params, .. } => params.m_cost(),
            Scheme::Bcrypt { .. } => BCRYPT_MEMORY_KIB,
        }
    }

    /// A hash of argon2id with a new salt and the default cost, as text.
    pub fn create(password: &str) -> Result<String, NotComputed> {
        let params = Params::DEFAULT;
        let salt = keys::random::<16>();
        let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
        argon2id(params.clone())
            .hash_password_into(password.as_bytes(), &salt, &mut hash)
            .map_err(|_| NotComputed)?;
        Ok(format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(hash)
        ))
    }

    /// A hash with the default cost that no password has.
    pub(crate) fn of_nobody() -> Self {
        Self {
            scheme: Scheme::Argon2id {
                params: Params::DEFAULT,
                salt: keys::random::<16>().to_vec(),
                hash: keys::random::<{ Params::DEFAULT_OUTPUT_LEN }>().to_vec(),
            },
            id: keys::random(),
        }
    }

    /// Whether this is the hash of the password. Takes as long for every password.
    pub(crate) fn verify(&self, password: &str) -> Result<bool, NotComputed> {
        let password = password.as_bytes();
        match &self.scheme {
            Scheme::Argon2id { params, salt, hash } => {
                let mut computed = Zeroizing::new(vec![0; hash.len()]);
                argon2id(params.clone())
                    .hash_password_into(password, salt, &mut computed)
                    .map_err(|_| NotComputed)?;
                Ok(is_equal(&computed, hash))
            }
            Scheme::Bcrypt { cost, salt, hash } => {
                // The hash of a longer password is that of its beginning.
                let is_too_long = password.len() > BCRYPT_PASSWORD_BYTES_MAX;
                let password = &password[..password.len().min(BCRYPT_PASSWORD_BYTES_MAX)];
                let mut with_nul = Zeroizing::new([0; BCRYPT_PASSWORD_BYTES_MAX]);
                with_nul[..password.len()].copy_from_slice(password);
                let length = (password.len() + 1).min(BCRYPT_PASSWORD_BYTES_MAX);
                let computed = bcrypt::bcrypt(*cost, *salt, &with_nul[..length]);
                Ok(is_equal(&computed[..hash.len()], hash) && !is_too_long)
            }
        }
    }

    /// Names this hash. Another hash of the same password has another name.
    pub(crate) fn id(&self) -> &[u8] {
        &self.id
    }

    /// What the hash costs to compute.
    pub(crate) fn cost(&self) -> Text {
        match &self.scheme {
            Scheme::Argon2id { params, .. } => {
                let (memory, passes) = (params.m_cost(), params.t_cost());
                let lanes = params.p_cost();
                text!(
                    "argon2id with m={memory},t={passes},p={lanes}",
                    "argon2id，m={memory},t={passes},p={lanes}"
                )
            }
            Scheme::Bcrypt { cost, .. } => {
                text!("bcrypt with cost {cost}", "bcrypt，cost {cost}")
            }
        }
    }

    /// Whether the hash is so cheap to compute that passwords can be guessed from it.
    pub(crate) fn is_cheap(&self) -> bool {
        match &self.scheme {
            Scheme::Argon2id { params, .. } => {
                params.m_cost() < ARGON2_MEMORY_KIB_RECOMMENDED_MIN
                    || filled_kib(params) < ARGON2_FILLED_KIB_RECOMMENDED_MIN
            }
            Scheme::Bcrypt { cost, .. } => *cost < BCRYPT_COST_RECOMMENDED_MIN,
        }
    }
}

fn argon2id(params: Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The memory that all passes fill, in KiB.
fn filled_kib(params: &Params) -> u64 {
    u64::from(params.m_cost()) * u64::from(params.t_cost())
}

fn is_equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Parses what follows `$argon2id$`.
fn parse_argon2id(text: &str) -> Result<Scheme, InvalidHash> {
    let mut parts = text.split('$');
    let mut next = || parts.next().ok_or(InvalidHash::DamagedArgon2id);
    let (version, costs, salt, hash) = (next()?, next()?, next()?, next()?);
    // Without a version it is version 16.
    if version != "v=19" {
        return Err(InvalidHash::Argon2Version);
    }
    if parts.next().is_some() {
        return Err(InvalidHash::DamagedArgon2id);
    }
    let decode = |text| STANDARD_NO_PAD.decode(text);
    let (Ok(salt), Ok(hash)) = (decode(salt), decode(hash)) else {
        return Err(InvalidHash::DamagedArgon2id);
    };
    if !ARGON2_SALT_BYTES.contains(&salt.len()) || !ARGON2_HASH_BYTES.contains(&hash.len()) {
        return Err(InvalidHash::DamagedArgon2id);
    }
    let params = argon2_params(costs, hash.len())?;
    if params.m_cost() > ARGON2_MEMORY_KIB_MAX || filled_kib(&params) > ARGON2_FILLED_KIB_MAX {
        return Err(InvalidHash::TooCostly);
    }
    Ok(Scheme::Argon2id { params, salt, hash })
}

/// Parses `m=19456,t=2,p=1`.
fn argon2_params(text: &str, hash_length: usize) -> Result<Params, InvalidHash> {
    let mut costs = text.split(',');
    let mut next = |name: &str| {
        let digits = costs.next()?.strip_prefix(name)?.strip_prefix('=')?;
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u32>().ok().filter(|_| is_plain)
    };
    let (Some(memory), Some(passes), Some(lanes)) = (next("m"), next("t"), next("p")) else {
        return Err(InvalidHash::DamagedArgon2id);
    };
    if costs.next().is_some() {
        return Err(InvalidHash::DamagedArgon2id);
    }
    let params = Params::new(memory, passes, lanes, Some(hash_length));
    params.map_err(|_| InvalidHash::DamagedArgon2id)
}

/// Parses what follows `$2b$`: two digits, `$`, 22 characters of salt and 31 of hash.
fn parse_bcrypt(text: &str) -> Result<Scheme, InvalidHash> {
    let parts = text.split_once('$').filter(|(cost, encoded)| {
        let is_cost = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        is_cost && encoded.len() == 53 && encoded.is_ascii()
    });
    let (cost, encoded) = parts.ok_or(InvalidHash::DamagedBcrypt)?;
    let cost = cost.parse().map_err(|_| InvalidHash::DamagedBcrypt)?;
    let (salt, hash) = encoded.split_at(22);
    let decode = |text| BCRYPT_BASE64.decode(text).ok();
    let salt = decode(salt).and_then(|salt| salt.try_into().ok());
    let hash = decode(hash).and_then(|hash| hash.try_into().ok());
    let (Some(salt), Some(hash)) = (salt, hash) else {
        return Err(InvalidHash::DamagedBcrypt);
    };
    if cost > *BCRYPT_COSTS.end() {
        return Err(InvalidHash::TooCostly);
    }
    if cost < *BCRYPT_COSTS.start() {
        return Err(InvalidHash::DamagedBcrypt);
    }
    Ok(Scheme::Bcrypt { cost, salt, hash })
}

#[cfg(test)]
mod tests;
