//! What to write instead: the usual mistakes of those who write their first configuration are named as such, in
//! English and Chinese.

use menshen::config::{Config, ConfigError};
use menshen::wording::Language;

use super::problems::parse_error;
use crate::upstream::TempFolder;

pub(super) const SERVER: &str = "[server]\nexternal_url = \"https://sso.corp.example\"\n";
pub(super) const ROUTE: &str = "[[route]]\nname = 'a'\n";

/// What is wrong and what helps, in both languages, of the only problem.
#[derive(Debug, PartialEq, Eq)]
struct Said<'a> {
    english: (&'a str, &'a str),
    chinese: (&'a str, &'a str),
}

fn said(error: &ConfigError) -> Said<'_> {
    assert_eq!(error.problems.len(), 1, "{error}");
    let problem = &error.problems[0];
    let help = problem.help.as_ref().unwrap();
    let both = |language| {
        (
            problem.message.in_language(language),
            help.in_language(language),
        )
    };
    Said {
        english: both(Language::English),
        chinese: both(Language::Chinese),
    }
}

/// The only problem of `more` behind a `[server]` of two lines is at this line and column, and says this.
pub(super) fn assert_says(
    more: &str,
    place: (usize, usize),
    english: (&str, &str),
    chinese: (&str, &str),
) {
    let error = parse_error(&format!("{SERVER}{more}"));
    assert_eq!(said(&error), Said { english, chinese }, "{more}");
    let problem = &error.problems[0];
    assert_eq!((problem.line, problem.column), place, "{error}");
}

/// The help in English is this, or another one.
pub(super) fn help(more: &str) -> String {
    let error = parse_error(&format!("{SERVER}{more}"));
    let help = error.problems[0].help.as_ref();
    help.map(ToString::to_string).unwrap_or_default()
}

#[test]
fn a_table_in_the_place_of_a_list_of_tables_needs_double_brackets() {
    let (english, chinese) = (
        "write [[route]]: each route is a table of its own",
        "请写 [[route]]：每条路由是单独的一张表",
    );
    assert_says(
        "[route]\nname = 'a'\n",
        (3, 1),
        ("a table does not fit here", english),
        ("这里不能写表", chinese),
    );
    // The parser refuses the second one.
    let twice = "[route]\nname = 'a'\n[route]\nname = 'b'\n";
    assert_eq!(help(twice), english);
    assert_eq!(
        help("[admin]\nlisten = '127.0.0.1:0'\n[admin.tokens]\nname = 'a'\n"),
        "write [[admin.tokens]]: each is a table of its own"
    );
    assert_ne!(help("[[route]]\n[route]\n"), "");
    assert!(!help("[session]\n[session]\n").contains("[["));
    assert!(!help("[server.trusted_proxies]\na = 1\n").contains("[["));
}

#[test]
fn a_text_in_the_place_of_a_list_of_texts_needs_brackets() {
    for (more, place) in [
        (format!("{ROUTE}upstream = 'http://127.0.0.1:1'\n"), (5, 12)),
        ("listen = '127.0.0.1:8080'\n".to_owned(), (3, 10)),
        ("trusted_proxies = '10'\n".to_owned(), (3, 19)),
    ] {
        assert_says(
            &more,
            place,
            (
                "a text does not fit here",
                "write [\"...\"], also with one element",
            ),
            ("这里不能写这段文本", "只有一项也写 [\"...\"]"),
        );
    }
    assert_eq!(help("listen = 7\n"), "expected an array: [...]");
}

#[test]
fn a_text_that_holds_its_quotation_mark_needs_other_ones() {
    for (allow, column, mark, other) in [
        (r#""user.login == "li"""#, 25, "\"", "'...'"),
        ("'user.login == 'li''", 25, "'", "\"...\""),
        (r#""user.login == "l'i"""#, 25, "\"", "'''...'''"),
    ] {
        let error = parse_error(&format!("{SERVER}{ROUTE}allow = {allow}\n"));
        let Said {
            english: (_, english),
            chinese: (_, chinese),
        } = said(&error);
        assert_eq!(
            english,
            format!("a text with {mark} in it stands in {other}")
        );
        assert_eq!(chinese, format!("文字里有 {mark} 时用 {other} 括起来"));
        let problem = &error.problems[0];
        assert_eq!((problem.line, problem.column), (5, column), "{error}");
    }
    for other in [
        "prefix = \"/a\" \"/b\"\n",
        "prefix = \"/a\n",
        "prefix = '/a' b\n",
    ] {
        assert!(!help(other).contains("stands in"), "{other}");
    }
}

#[test]
fn an_upstream_without_scheme_or_with_a_port_that_is_too_large_is_told_from_others() {
    let upstream = |url: &str| format!("{ROUTE}upstream = ['{url}']\n");
    for url in ["http://127.0.0.1:180000", "127.0.0.1:180000/"] {
        assert_says(
            &upstream(url),
            (5, 13),
            ("180000 is no port", "at most 65535"),
            ("180000 不是端口", "最大 65535"),
        );
    }
    for url in ["127.0.0.1:18000", "localhost:18000", "oa.corp.example"] {
        assert_says(
            &upstream(url),
            (5, 13),
            (
                "an upstream begins with http:// or https://",
                &format!("did you mean http://{url}?"),
            ),
            (
                "上游以 http:// 或 https:// 开头",
                &format!("是不是想写 http://{url}？"),
            ),
        );
    }
    for url in [
        "http://127.0.0.1:18000/app",
        "127.0.0.1:18000/app",
        "li:hunter2@127.0.0.1:1",
        "http://127.0.0.1:18000000000",
        "ftp://127.0.0.1:18000",
        "",
    ] {
        let error = parse_error(&format!("{SERVER}{}", upstream(url)));
        let message = error.problems[0].message.to_string();
        assert!(message.starts_with("an upstream is http://host"), "{error}");
    }
}

#[test]
fn an_address_to_listen_on_without_port_or_host_is_completed() {
    for (address, english, chinese) in [
        (
            "127.0.0.1",
            ("the port is missing", "write \"127.0.0.1:8080\""),
            ("缺少端口", "请写 \"127.0.0.1:8080\""),
        ),
        (
            "::1",
            ("the port is missing", "write \"[::1]:8080\""),
            ("缺少端口", "请写 \"[::1]:8080\""),
        ),
        (
            ":8080",
            (
                "the address before the port is missing",
                "write \"0.0.0.0:8080\" or \"[::]:8080\"",
            ),
            ("端口之前缺少地址", "请写 \"0.0.0.0:8080\" 或 \"[::]:8080\""),
        ),
        (
            "127.0.0.1:80800",
            ("80800 is no port", "at most 65535"),
            ("80800 不是端口", "最大 65535"),
        ),
        (
            "localhost:8080",
            (
                "an address to listen on is no name",
                "write \"127.0.0.1:8080\"",
            ),
            ("监听地址不能写名字", "请写 \"127.0.0.1:8080\""),
        ),
    ] {
        let more = format!("listen = ['{address}']\n");
        assert_says(&more, (3, 11), english, chinese);
        let table = format!("listen = [{{ address = '{address}', tls = false }}]\n");
        assert_says(&table, (3, 23), english, chinese);
    }
    for address in ["example:80", "unix:run/a", "systemd:", "127.0.0.1:", "x"] {
        let error = parse_error(&format!("{SERVER}listen = ['{address}']\n"));
        let message = error.problems[0].message.to_string();
        assert_eq!(message, format!("`{address}` is not an address"));
    }
}

#[test]
fn an_equals_sign_and_a_text_without_quotes_in_a_rule_are_named() {
    let compiles = |en: &str, zh: &str| {
        (
            format!("this expression does not compile: {en}"),
            format!("这个表达式无法编译：{zh}"),
        )
    };
    for (rule, column, (english, chinese)) in [
        (
            "user.login = 'li'",
            23,
            compiles("write == to compare", "比较要写 =="),
        ),
        (
            "财务 in user.departments",
            12,
            compiles("a text stands in quotes: '财务'", "文本要加引号：'财务'"),
        ),
        (
            "user.login == 'a' || IT部 in user.departments",
            35,
            compiles("a text stands in quotes: 'IT部'", "文本要加引号：'IT部'"),
        ),
    ] {
        let error = parse_error(&format!(
            "{SERVER}{ROUTE}upstream = ['http://a']\naccess = 'rule'\nallow = \"{rule}\"\n"
        ));
        let Said {
            english: (en, _),
            chinese: (zh, _),
        } = said(&error);
        assert_eq!((en, zh), (&*english, &*chinese));
        let problem = &error.problems[0];
        assert_eq!(problem.line, 7, "{error}");
        assert!(problem.column.abs_diff(column) <= 2, "{error}");
    }
    for rule in ["user.login == 'li' @", "user.login == ", "user.login ~ 'a'"] {
        let error = parse_error(&format!(
            "{SERVER}{ROUTE}upstream = ['http://a']\naccess = 'rule'\nallow = \"{rule}\"\n"
        ));
        let message = error.problems[0].message.to_string();
        assert!(
            !message.contains("write ==") && !message.contains("quotes"),
            "{message}"
        );
    }
}

const WECOM: &str = "[connector.corp.wecom]\ncorp_id = 'ww0123456789abcdef'\nagent_id = 7\n";

fn file_error(text: &str) -> ConfigError {
    let checked = Config::parse_and_check_files(text.as_bytes(), "menshen.toml");
    checked.unwrap_err()
}

#[test]
fn a_session_key_that_is_too_short_names_the_command_that_makes_one() {
    let make = (
        "make one with: menshen keygen > FILE",
        "用 menshen keygen > 文件 生成",
    );
    let (short, form) = (
        (
            "a session key must have at least 32 bytes, this one has 6 bytes after decoding",
            "会话密钥至少 32 字节，这一个解码后只有 6 字节",
        ),
        (
            "a session key must be base64 or hexadecimal, as `menshen keygen` prints it",
            "会话密钥应为 base64 或十六进制，即 `menshen keygen` 输出的格式",
        ),
    );
    for (key, (english, chinese)) in [("changeme", short), ("change me!", form)] {
        let error = file_error(&format!("{SERVER}[session]\nkeys = ['{key}']\n"));
        assert_eq!(
            said(&error),
            Said {
                english: (english, make.0),
                chinese: (chinese, make.1),
            }
        );
        assert_eq!((error.problems[0].line, error.problems[0].column), (4, 9));
        assert!(!error.to_string().contains(key), "{error}");
    }
}

#[test]
fn an_environment_variable_that_is_not_set_is_named_at_its_line() {
    let name = "MENSHEN_TEST_NOT_SET";
    let variable = format!("{{ env = '{name}' }}");
    let remedy = (
        "set it for the service, or write { file = \"...\" }",
        "请给服务设置，或改用 { file = \"...\" }",
    );
    for (document, line) in [
        (format!("[session]\nkeys = [{variable}]\n"), 4),
        (
            format!("[admin]\nlisten = '127.0.0.1:9'\ntoken = {variable}\n"),
            5,
        ),
        (format!("{WECOM}secret = {variable}\n"), 6),
    ] {
        let error = file_error(&format!("{SERVER}{document}"));
        assert_eq!(
            said(&error),
            Said {
                english: (
                    &format!("the environment variable {name} is not set"),
                    remedy.0
                ),
                chinese: (&format!("没有设置环境变量 {name}"), remedy.1),
            }
        );
        assert_eq!(error.problems[0].line, line, "{error}");
    }
    let sound = format!("{SERVER}{WECOM}secret = {{ env = 'PATH' }}\n");
    assert!(Config::parse_and_check_files(sound.as_bytes(), "t").is_ok());
}

#[test]
fn problems_of_a_people_file_are_shown_in_it_with_a_caret() {
    let folder = TempFolder::new();
    let file = |content: &str| {
        let path = folder.write("people.toml", content);
        let document = format!(
            "{SERVER}[connector.staff.local]\npeople = '{}'\n",
            path.display()
        );
        Config::parse_and_check_files(document.as_bytes(), "menshen.toml")
    };
    let error = file("[li]\npassword = 'hunter2'\ngroups = 7\n[wang]\nname = 'W'\n").unwrap_err();
    let places: Vec<_> = error
        .problems
        .iter()
        .map(|it| (it.line, it.column))
        .collect();
    assert_eq!(places, [(2, 12), (3, 10), (4, 2)], "{error}");
    let shown = error.to_string();
    for words in [
        "people.toml:2:12",
        "this password cannot be used",
        "`groups` must be a list of texts",
        "`wang` has no password",
        "^",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    for words in ["hunter2", "build the", "menshen.toml"] {
        assert!(!shown.contains(words), "{words}: {shown}");
    }
    let chinese = error.in_language(Language::Chinese);
    for words in ["错误: 这个密码无法使用", "people.toml:2:12", "没有密码"] {
        assert!(chinese.contains(words), "{words}: {chinese}");
    }
    let error = file("[li]\npassword ＝ 'x'\n").unwrap_err();
    assert_eq!((error.problems[0].line, error.problems[0].column), (2, 10));
    let shown = error.to_string();
    assert!(shown.contains("`＝` is a full-width character"), "{shown}");
    assert!(file("").is_ok());
}

#[test]
fn a_file_with_a_relative_path_that_is_missing_names_the_folder_of_the_start() {
    let check = |path: &str| {
        let text = format!("{SERVER}[pages]\nlogo = '{path}'\n");
        Config::parse_and_check_files(text.as_bytes(), "menshen.toml").unwrap_err()
    };
    let folder = std::env::current_dir().unwrap();
    let folder = folder.display();
    let error = check("missing/logo.svg");
    let Said {
        english: (_, english),
        chinese: (_, chinese),
    } = said(&error);
    let (start, begins) = (
        "the file must exist, and the user of menshen must be allowed to read it; ",
        "a path without a leading / begins in the folder in which menshen was started: ",
    );
    assert_eq!(english, format!("{start}{begins}{folder}"));
    assert!(
        chinese.ends_with(&format!(
            "；不以 / 开头的路径从启动 menshen 的目录算起：{folder}"
        )),
        "{chinese}"
    );
    let error = check("/missing/logo.svg");
    assert!(!error.to_string().contains("leading /"), "{error}");
}
