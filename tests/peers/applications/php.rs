//! PHP, run by PHP-FPM behind nginx.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::processes::{Program, TempDir};
use super::recipe::Recipe;
use super::stage::{OWN, Stage};

/// PHP-FPM, whose name has a version.
fn php_fpm() -> PathBuf {
    let programs = std::fs::read_dir("/usr/sbin").unwrap();
    let mut programs = programs.map(|entry| entry.unwrap().path());
    let found = programs.find(|path| path.to_string_lossy().contains("/php-fpm"));
    found.unwrap_or_else(|| panic!("no PHP-FPM in /usr/sbin; tests/run installs it"))
}

/// PHP-FPM on this socket. Its workers outlive it when it is killed, so the shell ends it.
fn start_php(dir: &TempDir, socket: &Path) -> Program {
    let pool = format!(
        "[global]\nerror_log = /dev/stderr\n[www]\nuser = nobody\ngroup = nogroup\nlisten = {}\n\
         listen.mode = 0666\npm = static\npm.max_children = 2\n",
        socket.display()
    );
    let pool = dir.write("php-fpm.conf", &pool);
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg("\"$0\" -F -n -y \"$1\" & read -r end; kill $!; wait $!")
        .arg(php_fpm())
        .arg(pool);
    Program::start_stopped_by_stdin("php-fpm", &mut command)
}

fn start_nginx(dir: &TempDir, server: &str) -> Program {
    let path = dir.path().display();
    let kept = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let kept = kept.map(|kind| format!("{kind}_temp_path {path}/{kind};"));
    let text = format!(
        "daemon off; master_process off; pid {path}/pid; error_log stderr warn; events {{}}\n\
         http {{ access_log off; {} {server} }}",
        kept.join(" ")
    );
    let file = dir.write("nginx.conf", &text);
    std::fs::copy(
        "/etc/nginx/fastcgi_params",
        dir.path().join("fastcgi_params"),
    )
    .unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command
        .arg("-p")
        .arg(dir.path())
        .args(["-e", "stderr", "-c"])
        .arg(file);
    Program::start("nginx", &mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn php_knows_the_person_of_menshen_and_nobody_else() {
    let recipe = Recipe::of_framework("PHP");
    let stage = Stage::start(&recipe, |dir, port| {
        dir.write("index.php", &recipe.block("php"));
        std::fs::create_dir(dir.path().join("pages")).unwrap();
        let socket = dir.path().join("php.sock");
        let mut server = recipe.block("nginx");
        for (written, here) in [
            ("127.0.0.1:8081", format!("127.0.0.1:{port}")),
            ("/srv/php", dir.path().display().to_string()),
            ("/run/php/php-fpm.sock", socket.display().to_string()),
        ] {
            assert!(server.contains(written), "{server}");
            server = server.replace(written, &here);
        }
        vec![start_nginx(dir, &server), start_php(dir, &socket)]
    })
    .await;
    stage.waits_for("/open/", 401).await;
    stage.believes_no_stranger(&OWN).await;
    let mut visitor = stage.visitor();
    stage.knows_each_person(&mut visitor, &OWN).await;
    let page = visitor.visit(&stage.at("/a/b?x=1")).await;
    assert!(page.body.contains("\\u674e\\u56db"), "{}", page.body);
    // nginx completes the address of a folder.
    let page = visitor.visit(&stage.at("/pages")).await;
    assert_eq!(page.leads_to().unwrap().as_str(), stage.at("/pages/"));
    let last = visitor.open(&stage.at("/sign-out")).await;
    stage.is_signed_out(&mut visitor, &last, "/").await;
}
