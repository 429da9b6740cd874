//! `ServerError`: why a PostgreSQL server or database cannot be a store, with the remedy.

use std::io::ErrorKind;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

use crate::text;
use crate::wording::{Text, error_of_text};

/// A PostgreSQL server or database that cannot be a store.
#[derive(Debug)]
pub struct ServerError {
    /// Without credentials.
    pub url: String,
    pub problem: ServerProblem,
    /// What the server or the connection reported, if it did.
    pub source: Option<sqlx::Error>,
}

impl ServerError {
    fn text(&self) -> Text {
        let Self { url, problem, .. } = self;
        match &self.source {
            Some(source) => text!(
                "the store {url} cannot be opened: {problem}: {source}",
                "无法打开数据库 {url}：{problem:#}（`{source}`）"
            ),
            None => text!(
                "the store {url} cannot be opened: {problem}",
                "无法打开数据库 {url}：{problem:#}"
            ),
        }
    }
}

error_of_text!(ServerError);

/// What is wrong with a PostgreSQL server or database. Contains no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerProblem {
    UnknownHost,
    Unreachable,
    NoTls,
    Certificate,
    Tls,
    Password,
    User,
    NoDatabase,
    Permission,
    TooManyConnections,
    Restarting,
    /// The number is the major version.
    OldVersion(i32),
    Encoding(String),
    ReadOnly,
    NoAdvisoryLocks,
}

impl ServerProblem {
    fn text(&self) -> Text {
        match self {
            Self::UnknownHost => Text::fixed(
                "no host has this name: check the host in [store] url, and the DNS of this machine",
                "没有这个名字的主机：请检查 [store] url 中的主机名和本机的 DNS",
            ),
            Self::Unreachable => Text::fixed(
                "nothing answers there: check the host and the port in [store] url, listen_addresses \
                 in postgresql.conf, and firewalls",
                "那里没有响应：请检查 [store] url 中的主机和端口、postgresql.conf 中的 \
                 listen_addresses，以及防火墙",
            ),
            Self::NoTls => Text::fixed(
                "the server does not support TLS: set ssl = on in postgresql.conf, or sslmode=disable \
                 in [store] url if the network between is trusted",
                "服务器不支持 TLS：请在 postgresql.conf 中设置 ssl = on；如果中间的网络可信，也可以在 \
                 [store] url 中写 sslmode=disable",
            ),
            Self::Certificate => Text::fixed(
                "the certificate of the server is not accepted: it must be valid and name the host in \
                 [store] url; sslrootcert names the file of an authority that the system does not \
                 trust",
                "服务器的证书不被接受：证书必须有效，并且包含 [store] url \
                 中的主机名；如果系统不信任签发它的 CA，请用 sslrootcert 指定 CA 文件",
            ),
            Self::Tls => Text::fixed(
                "the TLS handshake failed: check sslrootcert, sslcert and sslkey in [store] url",
                "TLS 握手失败：请检查 [store] url 中的 sslrootcert、sslcert 和 sslkey",
            ),
            Self::Password => Text::fixed(
                "the server refuses the password of this user: check [store] password, or the one in url",
                "服务器拒绝了该用户的密码：请检查 [store] password，或 url 中的密码",
            ),
            Self::User => Text::fixed(
                "the server does not let this user in from here: add a line for the user, the database \
                 and this address to pg_hba.conf, or leave sslmode out if only connections with TLS \
                 are allowed",
                "服务器不允许该用户从这里登录：请在 pg_hba.conf \
                 中为该用户、数据库和本机地址加一行；如果只允许 TLS 连接，请不要设置 sslmode",
            ),
            Self::NoDatabase => Text::fixed(
                "the server has no such database: create it with ENCODING 'UTF8' and make this user \
                 its owner",
                "服务器没有这个数据库：请以 ENCODING 'UTF8' 创建，并让该用户成为它的所有者",
            ),
            Self::Permission => Text::fixed(
                "the user lacks a permission: make it the owner of the database",
                "该用户权限不足：请让它成为数据库的所有者",
            ),
            of_server => of_server.server_text(),
        }
    }

    /// What is wrong with a server that lets the user in.
    fn server_text(&self) -> Text {
        match self {
            Self::TooManyConnections => Text::fixed(
                "the server has no connection left: raise max_connections of the server, or lower \
                 connections_max of the nodes",
                "服务器的连接已用完：请调高服务器的 max_connections，或调低各节点的 connections_max",
            ),
            Self::Restarting => Text::fixed(
                "the server starts or stops: try again",
                "服务器正在启动或停止：请稍后重试",
            ),
            Self::OldVersion(it) => text!(
                "the server has version {it}: 13 or newer is needed",
                "服务器的版本是 {it}：需要 13 或更高版本"
            ),
            Self::Encoding(it) => text!(
                "the database keeps text in {it}: create it with ENCODING 'UTF8'",
                "数据库的编码是 {it}：请以 ENCODING 'UTF8' 创建"
            ),
            Self::ReadOnly => Text::fixed(
                "the database is read-only, such as a replica: [store] url must name the primary \
                 server, for example by an address that moves with it",
                "数据库是只读的（例如副本）：[store] url 必须指向主服务器，例如用随主服务器移动的地址",
            ),
            Self::NoAdvisoryLocks => Text::fixed(
                "the server grants one advisory lock to two connections, so nodes cannot share it",
                "服务器把同一个咨询锁（advisory lock）同时给了两个连接，多个节点无法共用它",
            ),
            _ => Text::fixed("the server cannot be used", "服务器无法使用"),
        }
    }
}

error_of_text!(ServerProblem);

impl ServerProblem {
    /// The problem behind an error of a connection, if it is a known one.
    pub(super) fn of(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Io(error) => Some(Self::of_io(error)),
            sqlx::Error::Migrate(error) => match &**error {
                MigrateError::Execute(error) => Self::of(error),
                _ => None,
            },
            sqlx::Error::PoolTimedOut => Some(Self::Unreachable),
            sqlx::Error::Tls(error) => Some(Self::of_tls(&error.to_string())),
            sqlx::Error::Database(error) => {
                let error = error.try_downcast_ref::<PgDatabaseError>()?;
                Self::of_code(error.code())
            }
            _ => None,
        }
    }

    fn of_io(error: &std::io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            // An error of the handshake.
            ErrorKind::InvalidData => Self::of_tls(&text),
            // The standard library has no kind for a name that is not found.
            _ if text.contains("lookup") => Self::UnknownHost,
            _ => Self::Unreachable,
        }
    }

    fn of_tls(text: &str) -> Self {
        if text.contains("does not support TLS") {
            Self::NoTls
        } else if text.contains("invalid peer certificate") {
            Self::Certificate
        } else {
            Self::Tls
        }
    }

    fn of_code(code: &str) -> Option<Self> {
        Some(match code {
            "28P01" => Self::Password,
            "28000" => Self::User,
            "3D000" => Self::NoDatabase,
            "42501" => Self::Permission,
            "53300" => Self::TooManyConnections,
            "57P01" | "57P02" | "57P03" => Self::Restarting,
            "25006" => Self::ReadOnly,
            _ => return None,
        })
    }

    /// A short description for the health page.
    pub(in crate::store) fn cause(&self) -> Text {
        match self {
            Self::UnknownHost
            | Self::Unreachable
            | Self::NoTls
            | Self::Certificate
            | Self::Tls
            | Self::Restarting => Text::fixed("the database cannot be reached", "无法访问数据库"),
            Self::Password | Self::User => Text::fixed(
                "the database refuses the user or the password",
                "数据库拒绝了用户名或密码",
            ),
            Self::NoDatabase => Text::fixed("there is no such database", "没有这个数据库"),
            Self::Permission => {
                Text::fixed("the database user lacks a permission", "数据库用户权限不足")
            }
            Self::TooManyConnections => {
                Text::fixed("the database has no connection left", "数据库的连接已用完")
            }
            Self::ReadOnly => Text::fixed("it is read-only", "它是只读的"),
            Self::OldVersion(_) | Self::Encoding(_) | Self::NoAdvisoryLocks => Text::fixed(
                "the database lacks what menshen needs",
                "数据库不满足 menshen 的要求",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn each_failure_of_a_connection_has_its_remedy() {
        for (error, problem) in [
            (
                io::Error::other("failed to lookup address information: Name or service not known"),
                ServerProblem::UnknownHost,
            ),
            (
                io::Error::from(ErrorKind::ConnectionRefused),
                ServerProblem::Unreachable,
            ),
            (
                io::Error::from(ErrorKind::TimedOut),
                ServerProblem::Unreachable,
            ),
            (
                io::Error::new(
                    ErrorKind::InvalidData,
                    "invalid peer certificate: UnknownIssuer",
                ),
                ServerProblem::Certificate,
            ),
        ] {
            assert_eq!(ServerProblem::of(&sqlx::Error::Io(error)), Some(problem));
        }
        for (text, problem) in [
            ("server does not support TLS", ServerProblem::NoTls),
            ("Invalid certificate /etc/ca.pem", ServerProblem::Tls),
        ] {
            let error = sqlx::Error::Tls(text.into());
            assert_eq!(ServerProblem::of(&error), Some(problem), "{text}");
        }
        assert_eq!(ServerProblem::of(&sqlx::Error::RowNotFound), None);
    }
}
