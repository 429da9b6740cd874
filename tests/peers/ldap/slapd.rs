//! OpenLDAP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use menshen::face::page::Cause;

use super::super::processes::{Program, TempDir, free_ports};
use super::super::visitor::echoed;
use super::Site;

/// Serves until standard input ends.
const SERVE: &str = r#"
slapd=$(command -v slapd || echo /usr/sbin/slapd)
"$slapd" -d stats -f "$1" -h "$2" &
server=$!
read -r _
kill -INT "$server"
wait "$server"
"#;

const ENTRIES: &str = "\
dn: dc=corp,dc=example
objectClass: dcObject
objectClass: organization
dc: corp
o: Corp

dn: ou=people,dc=corp,dc=example
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=corp,dc=example
objectClass: organizationalUnit
ou: groups

dn: cn=policy,dc=corp,dc=example
objectClass: pwdPolicy
objectClass: device
cn: policy
pwdAttribute: userPassword
pwdMaxFailure: 3
pwdLockout: TRUE
pwdLockoutDuration: 600
pwdMustChange: TRUE
pwdMaxAge: 86400

dn: cn=gate,dc=corp,dc=example
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: gate
userPassword: gate-password

dn: uid=alice,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: alice
cn: Alice (A*)
sn: A
mail: alice@corp.example
userPassword: alice-password

dn: uid=bob,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: B
userPassword: bob-password

dn: uid=reset,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: reset
cn: Reset
sn: R
userPassword: reset-password
pwdReset: TRUE

dn: uid=expired,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: expired
cn: Expired
sn: E
userPassword: expired-password
pwdChangedTime: 20200101000000Z

dn: uid=a\\2cb,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: a,b
cn: Comma
sn: C
userPassword: comma-password

dn:: dWlkPeW8oOS4iSxvdT1wZW9wbGUsZGM9Y29ycCxkYz1leGFtcGxl
objectClass: inetOrgPerson
uid:: 5byg5LiJ
cn:: 5byg5LiJ
sn:: 5byg
userPassword:: 5a+G56CBLXBhc3N3b3Jk

dn: cn=inner,ou=groups,dc=corp,dc=example
objectClass: groupOfNames
cn: inner
member: uid=alice,ou=people,dc=corp,dc=example

dn: cn=outer,ou=groups,dc=corp,dc=example
objectClass: groupOfNames
cn: outer
member: cn=inner,ou=groups,dc=corp,dc=example
member: cn=outer,ou=groups,dc=corp,dc=example
";

/// A running slapd; it ends when dropped.
pub(super) struct Slapd {
    pub(super) port: u16,
    dir: TempDir,
    _program: Program,
}

impl Slapd {
    /// With ldap at `port`, ldaps after it and a socket; `more` are global lines of its configuration.
    pub(super) async fn start(more: &str) -> Self {
        let dir = TempDir::new();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        dir.write("slapd.pem", &made.cert.pem());
        dir.write("slapd.key", &made.signing_key.serialize_pem());
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let path = dir.path().display();
        let config = dir.write(
            "slapd.conf",
            &format!(
                "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
                 include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\n\
                 moduleload back_mdb\nmoduleload ppolicy\npidfile {path}/slapd.pid\n\
                 TLSCertificateFile {path}/slapd.pem\nTLSCertificateKeyFile {path}/slapd.key\n{more}\n\
                 database mdb\nsuffix dc=corp,dc=example\nrootdn cn=admin,dc=corp,dc=example\ndirectory {path}/data\nmaxsize 33554432\n\
                 overlay ppolicy\nppolicy_default cn=policy,dc=corp,dc=example\n\
                 access to attrs=userPassword by anonymous auth by * none\n\
                 access to * by users read by * none\n"
            ),
        );
        let entries = dir.write("entries.ldif", ENTRIES);
        let added = Command::new("/usr/sbin/slapadd")
            .args(["-q", "-f"])
            .arg(&config)
            .arg("-l")
            .arg(&entries)
            .output()
            .unwrap_or_else(|error| panic!("slapadd of Debian's package slapd: {error}"));
        assert!(added.status.success(), "{added:?}");
        for _ in 0..100 {
            let port = free_ports(2);
            let socket = format!("{path}/ldapi").replace('/', "%2F");
            let urls = format!(
                "ldap://127.0.0.1:{port} ldaps://127.0.0.1:{} ldapi://{socket}",
                port + 1
            );
            let mut command = Command::new("sh");
            command.args(["-c", SERVE, "sh"]).arg(&config).arg(&urls);
            let mut program = Program::start_stopped_by_stdin("slapd", &mut command);
            if program.listens(port).await {
                return Self {
                    port,
                    dir,
                    _program: program,
                };
            }
        }
        panic!("slapd finds no port");
    }

    fn ca(&self) -> String {
        self.dir.path().join("slapd.pem").display().to_string()
    }

    fn ldapi(&self) -> String {
        let socket = self.dir.path().join("ldapi").display().to_string();
        format!("ldapi://{}", socket.replace('/', "%2F"))
    }

    pub(super) async fn site(&self, url: &str, more: &str) -> Site {
        let ldap = format!(
            "url = '{url}'\nbind_dn = 'cn=gate,dc=corp,dc=example'\n\
             bind_password = 'gate-password'\nbase = 'ou=people,dc=corp,dc=example'\n{more}"
        );
        Site::start(&self.ca(), &ldap).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_openldap_sign_in_over_every_transport() {
    let slapd = Slapd::start("").await;
    let port = slapd.port;
    for url in [
        format!("ldap://localhost:{port}"),
        format!("ldaps://localhost:{}", port + 1),
        slapd.ldapi(),
    ] {
        let site = slapd.site(&url, "").await;
        let echo = site.assert_signed_in("alice", "alice-password").await;
        assert_eq!(
            echoed(&echo.body, "x-forwarded-email"),
            ["alice@corp.example"]
        );
        site.assert_signed_in("a,b", "comma-password").await;
        let page = site.sign_in("张三", "密码-password").await;
        assert_eq!(page.status, 200, "{url}: {}", page.body);
        for (login, password) in [
            ("alice", "alice"),
            ("alice", "bob-password"),
            ("nobody", "alice-password"),
            ("*", "alice-password"),
            ("alice)(uid=*", "alice-password"),
            ("alice", ""),
        ] {
            let page = site.sign_in(login, password).await;
            assert_eq!(page.status, 401, "{url}: {login}");
        }
    }
    // The name of the certificate is `localhost`.
    let site = slapd.site(&format!("ldap://127.0.0.1:{port}"), "").await;
    let page = site.sign_in("alice", "alice-password").await;
    assert_eq!(
        (page.status, page.cause()),
        (503, Some(Cause::PasswordUnchecked))
    );
}

/// The result code of a bind with an empty password.
fn unauthenticated_bind(port: u16) -> u8 {
    let name = b"uid=alice,ou=people,dc=corp,dc=example";
    let mut request = vec![
        0x30,
        (12 + name.len()) as u8,
        2,
        1,
        1,
        0x60,
        (7 + name.len()) as u8,
    ];
    request.extend([2, 1, 3, 4, name.len() as u8]);
    request.extend(name);
    request.extend([0x80, 0]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(&request).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    answer[9]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openldap_that_accepts_empty_passwords_lets_nobody_in() {
    let slapd = Slapd::start("allow bind_anon_dn").await;
    assert_eq!(
        unauthenticated_bind(slapd.port),
        0,
        "the directory has the hole"
    );
    let url = format!("ldap://localhost:{}", slapd.port);
    let site = slapd.site(&url, "").await;
    let page = site.sign_in("alice", "").await;
    assert_eq!(page.status, 401, "{}", page.body);
    site.assert_signed_in("alice", "alice-password").await;
    let bind_as = format!(
        "url = '{url}'\nbase = 'ou=people,dc=corp,dc=example'\n\
         bind_as = 'uid={{login}},ou=people,dc=corp,dc=example'\n"
    );
    let site = Site::start(&slapd.ca(), &bind_as).await;
    assert_eq!(site.sign_in("alice", "").await.status, 401);
    assert_eq!(site.sign_in("a,b", "").await.status, 401);
    site.assert_signed_in("a,b", "comma-password").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_policy_of_openldap_is_understood() {
    let slapd = Slapd::start("").await;
    let site = slapd
        .site(&format!("ldap://localhost:{}", slapd.port), "")
        .await;
    for (login, password) in [("reset", "reset-password"), ("expired", "expired-password")] {
        assert_eq!(site.sign_in(login, "x").await.status, 401, "{login}");
        let page = site.sign_in(login, password).await;
        assert_eq!(
            (page.status, page.cause()),
            (403, Some(Cause::PasswordExpired)),
            "{login}"
        );
    }
    site.assert_signed_in("bob", "bob-password").await;
    for _ in 0..3 {
        assert_eq!(site.sign_in("bob", "x").await.status, 401);
    }
    // Locked: the page is the same as for a wrong password.
    assert_eq!(site.sign_in("bob", "bob-password").await.status, 401);
    site.assert_signed_in("alice", "alice-password").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_openldap_are_found() {
    let slapd = Slapd::start("").await;
    let url = format!("ldap://localhost:{}", slapd.port);
    for (nested, groups) in [(false, "inner"), (true, "inner,outer")] {
        let table = format!(
            "[connector.staff.ldap.groups]\nbase = 'ou=groups,dc=corp,dc=example'\nnested = {nested}\n"
        );
        let site = slapd.site(&url, &table).await;
        let echo = site.assert_signed_in("alice", "alice-password").await;
        assert_eq!(echoed(&echo.body, "x-forwarded-groups").join(","), groups);
    }
}
