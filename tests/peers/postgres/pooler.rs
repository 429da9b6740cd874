//! PgBouncer in transaction mode before the shared server.

use std::path::Path;
use std::sync::{Mutex, OnceLock};

use super::super::processes::{Program, TempDir, free_ports};
use super::server::{self, Database};

/// A running pooler; it ends with this process.
#[derive(Debug)]
pub(crate) struct Pooler {
    port: u16,
    _program: Mutex<Program>,
    _dir: TempDir,
}

pub(crate) fn shared() -> &'static Pooler {
    static POOLER: OnceLock<Pooler> = OnceLock::new();
    POOLER.get_or_init(Pooler::start)
}

impl Pooler {
    fn start() -> Self {
        let dir = TempDir::new();
        server::give_to_postgres(dir.path());
        let users = dir.write("users", &server::user_line());
        server::give_to_postgres(&users);
        for _ in 0..100 {
            let port = free_ports(1);
            let config = dir.write("pgbouncer.ini", &configuration(port, &users));
            server::give_to_postgres(&config);
            let mut command = server::as_postgres(Path::new("sh"));
            let serve = "/usr/sbin/pgbouncer \"$1\" & server=$!; read -r _; kill \"$server\"; wait \"$server\"";
            command.args(["-c", serve, "sh"]).arg(&config);
            let mut program = Program::start_stopped_by_stdin("pgbouncer", &mut command);
            let is_up = |line: &str| line.contains("process up").then_some(());
            if program.line(is_up).is_some() {
                return Self {
                    port,
                    _program: Mutex::new(program),
                    _dir: dir,
                };
            }
        }
        panic!("pgbouncer finds no port");
    }

    pub(crate) fn url(&self, database: &Database) -> String {
        server::url(self.port, &database.name)
    }
}

/// Few server connections, so that clients really share them.
fn configuration(port: u16, users: &Path) -> String {
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = plain\n\
         auth_file = {}\n\
         pool_mode = transaction\n\
         default_pool_size = 3\n\
         max_client_conn = 2000\n",
        server::shared().port,
        users.display()
    )
}
