//! Apache with git over HTTP, Subversion and WebDAV.

use std::path::{Display, Path, PathBuf};
use std::process::Command;

use crate::processes::{Program, TempDir, free_ports};

/// The user that Apache runs as when root starts it.
const SERVED_AS: &str = "www-data";

/// The account of the Subversion repository and its password.
pub(super) const SVN_USER: &str = "zhangsan";
pub(super) const SVN_SECRET: &str = "secret-of-svn";
/// The account in Apache's format.
const SVN_ACCOUNTS: &str = "zhangsan:{SHA}TDOnCQCgFXzLXqQT+mUFBZsUxUc=\n";

/// A running Apache, stopped when dropped.
#[derive(Debug)]
pub(super) struct Apache {
    pub(super) port: u16,
    dir: TempDir,
    _program: Program,
}

impl Apache {
    /// Starts Apache with an empty git repository, an empty Subversion repository and an empty
    /// folder.
    pub(super) async fn start() -> Self {
        for _ in 0..10 {
            let port = free_ports(1);
            let dir = TempDir::new();
            fill(&dir);
            let file = dir.write("apache.conf", &configuration(port, &dir));
            // One process, so that it ends completely.
            let mut command = Command::new("/usr/sbin/apache2");
            command.arg("-X").arg("-f").arg(file);
            let mut program = Program::start("apache2", &mut command);
            if program.listens(port).await {
                return Self {
                    port,
                    dir,
                    _program: program,
                };
            }
        }
        panic!("apache2 does not start");
    }

    /// The path of the git repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.dir.path().join("shared/git/wall.git")
    }

    /// The value of `Authorization`, or `-`, and the path of every request so far.
    pub(super) fn requests(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("requests")).unwrap()
    }

    /// The path of the WebDAV folder.
    pub(super) fn folder(&self) -> PathBuf {
        self.dir.path().join("shared/dav")
    }
}

/// Served files are below `shared` and belong to Apache's user.
fn fill(dir: &TempDir) {
    let shared = dir.path().join("shared");
    for folder in ["git", "dav", "lock"] {
        std::fs::create_dir_all(shared.join(folder)).unwrap();
    }
    let repository = shared.join("git/wall.git");
    done(
        Command::new("git")
            .args(["init", "--quiet", "--bare", "-b", "main"])
            .arg(&repository),
    );
    let mut allow = Command::new("git");
    allow.arg("-C").arg(&repository);
    done(allow.args(["config", "http.receivepack", "true"]));
    done(
        Command::new("svnadmin")
            .arg("create")
            .arg(shared.join("svn")),
    );
    dir.write("accounts", SVN_ACCOUNTS);
    done(Command::new("chown").args(["-R", SERVED_AS]).arg(&shared));
}

/// Runs a setup command that must succeed.
fn done(command: &mut Command) {
    let ran = command.output();
    let ran = ran
        .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs what is needed"));
    assert!(ran.status.success(), "{command:?}: {ran:?}");
}

fn configuration(port: u16, dir: &TempDir) -> String {
    let dir = dir.path().display();
    let modules = [
        "mpm_event",
        "authn_core",
        "authn_file",
        "auth_basic",
        "authz_core",
        "authz_user",
        "alias",
        "env",
        "setenvif",
        "cgi",
        "dav",
        "dav_fs",
        "dav_svn",
    ];
    let modules = modules.map(module).join("\n");
    let subversion = ["svn", "closed"].map(|at| subversion(at, &dir)).join("\n");
    let for_people = for_people(&dir);
    format!(
        "# WebDAV takes a Destination only under this name.
        ServerName 127.0.0.1
        Listen 127.0.0.1:{port}
        {modules}
        User {SERVED_AS}
        Group {SERVED_AS}
        PidFile {dir}/pid
        DefaultRuntimeDir {dir}
        Mutex file:{dir} default
        ErrorLog /dev/stderr
        CustomLog {dir}/requests \"%{{Authorization}}i %U\"
        KeepAliveTimeout 2

        ScriptAlias /git/ /usr/lib/git-core/git-http-backend/
        SetEnv GIT_PROJECT_ROOT {dir}/shared/git
        SetEnv GIT_HTTP_EXPORT_ALL 1
        SetEnvIf Git-Protocol \".*\" GIT_PROTOCOL=$0

{subversion}
{for_people}

        DavLockDB {dir}/shared/lock/db
        Alias /dav {dir}/shared/dav
        <Directory {dir}/shared/dav>
            DAV On
        </Directory>"
    )
}

fn module(name: &str) -> String {
    let file = Path::new("/usr/lib/apache2/modules").join(format!("mod_{name}.so"));
    format!("LoadModule {name}_module {}", file.display())
}

/// The same repositories and the same folder without accounts.
fn for_people(dir: &Display<'_>) -> String {
    format!(
        "ScriptAlias /people/git/ /usr/lib/git-core/git-http-backend/
        Alias /people/dav {dir}/shared/dav
        <Location /people/svn>
            DAV svn
            SVNPath {dir}/shared/svn
        </Location>"
    )
}

/// The Subversion repository at one of its paths, with accounts.
fn subversion(at: &str, dir: &Display<'_>) -> String {
    format!(
        "<Location /{at}>
            DAV svn
            SVNPath {dir}/shared/svn
            AuthType Basic
            AuthName Subversion
            AuthUserFile {dir}/accounts
            Require valid-user
        </Location>"
    )
}
