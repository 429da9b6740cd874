//! Values of `[pages]` that are refused, at their place.

use menshen::config::Config;

use super::SVG;
use crate::upstream::TempFolder;

fn config(lines: &str) -> String {
    format!("[server]\nexternal_url = \"http://sso.test\"\n[pages]\n{lines}\n")
}

#[test]
fn a_value_that_no_page_can_show_is_refused_at_its_line() {
    for (line, says) in [
        ("color = \"blue\"", "hexadecimal"),
        ("color = \"#0b57d0;}\"", "hexadecimal"),
        ("background = \"doors2\"", "doors"),
        ("name = \"\"", "empty"),
        ("name = { zh = \"示例公司\" }", "en"),
        ("name = { zh = \"示例公司\", en = \"a\", fr = \"b\" }", "fr"),
        ("name = 7", "text"),
        ("footer = \"two\\nlines\"", "control character"),
        ("help = \"https://\"", "address"),
        ("help = \"mailto:\"", "address"),
        ("motto = \"x\"", "motto"),
    ] {
        let error = Config::parse(&config(line), "t.toml")
            .unwrap_err()
            .to_string();
        assert!(error.contains("t.toml:4"), "{line}: {error}");
        assert!(error.contains(says), "{line}: {error}");
    }
}

#[test]
fn a_file_that_is_no_logo_is_refused_at_its_line() {
    let folder = TempFolder::new();
    let script = SVG.replace("<path", "<script>alert(1)</script><path");
    for (name, content) in [
        ("empty.svg", ""),
        ("page.svg", "<html></html>"),
        ("script.svg", script.as_str()),
        ("gif.png", "GIF89a"),
    ] {
        let path = folder.write(name, content);
        let text = config(&format!("logo = \"{}\"", path.display()));
        let config = Config::parse(&text, "t.toml").unwrap();
        let error = config.check_files().unwrap_err().to_string();
        assert!(error.contains("t.toml:4"), "{name}: {error}");
        assert!(error.contains("SVG"), "{name}: {error}");
    }
    let missing = folder.path("missing.svg");
    let text = config(&format!("logo = \"{}\"", missing.display()));
    let error = Config::parse(&text, "t.toml").unwrap().check_files();
    assert!(error.unwrap_err().to_string().contains("missing.svg"));
    let path = folder.write("logo.svg", SVG);
    let text = config(&format!("logo = \"{}\"", path.display()));
    let config = Config::parse(&text, "t.toml").unwrap();
    assert!(config.check_files().is_ok());
    assert_eq!(config.files(), [path]);
}
