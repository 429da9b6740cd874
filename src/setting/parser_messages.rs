//! The messages of the parsers of TOML, URLs and other values in English, as they write them, and in Chinese.

use crate::text;
use crate::wording::Text;

/// A message of the TOML parser: what is wrong, and what it expected instead.
pub fn toml_message_parts(message: &str) -> (Text, Option<Text>) {
    match message.split_once(", expected ") {
        Some((what, "nothing")) => (wrong(what), None),
        Some((what, list)) => (wrong(what), Some(expected(list))),
        None => (wrong(message), None),
    }
}

/// A message of the TOML parser as one sentence.
pub fn toml_message(message: &str) -> Text {
    match toml_message_parts(message) {
        (what, Some(expected)) => text!("{message}", "{what:#}，{expected:#}"),
        (what, None) => text!("{message}", "{what:#}"),
    }
}

fn wrong(message: &str) -> Text {
    match translation(&SYNTAX, message) {
        Some(zh) => text!("{message}", "TOML 语法错误：{zh}"),
        None if message.starts_with("cannot extend value of type") => text!(
            "{message}",
            "TOML 语法错误：这个键已经有值，不能再用带点的键扩展"
        ),
        None => text!("{message}", "TOML 语法错误：`{message}`"),
    }
}

/// What the TOML parser expected: literals in backticks, and names of parts of the syntax.
fn expected(list: &str) -> Text {
    let parts = list.split(", ");
    let parts: Vec<_> = parts
        .map(|part| translation(&EXPECTED, part).unwrap_or(part))
        .collect();
    let parts = parts.join("、");
    text!("expected {list}", "此处应为 {parts}")
}

/// The message with which the type of another crate, such as `Url`, refuses a value; `None` if it is not known. The
/// value, which may follow in quotes after `: `, is left out: a URL may contain a password.
pub fn value_message(message: &str) -> Option<Text> {
    let what = match message.split_once(": ") {
        Some((what, value)) if value.starts_with('"') => what,
        _ => message,
    };
    let zh = translation(&VALUES, what)?;
    Some(text!("{what}", "{zh}"))
}

fn translation(messages: &[(&str, &'static str)], message: &str) -> Option<&'static str> {
    let found = messages.iter().find(|(en, _)| *en == message);
    found.map(|(_, zh)| *zh)
}

/// What the TOML parser says is wrong.
const SYNTAX: [(&str, &str); 57] = [
    ("`_` may only go between digits", "`_` 只能出现在数字之间"),
    (
        "cannot recurse further; max recursion depth met",
        "嵌套过深",
    ),
    (
        "carriage return must be followed by newline",
        "回车符之后必须是换行符",
    ),
    ("could not allocate for string", "内存不足"),
    ("duplicate key", "键重复"),
    ("extra `=`", "多了一个 `=`"),
    (
        "extra assignment between key-value pairs",
        "键值对之间多了 `=`",
    ),
    ("extra comma in array", "数组中多了逗号"),
    ("extra comma in inline table", "行内表中多了逗号"),
    (
        "integers with a radix cannot be signed",
        "带进制前缀的整数不能有正负号",
    ),
    ("invalid array", "数组的写法有误"),
    ("invalid basic string", "双引号文本的写法有误"),
    ("invalid binary number", "二进制整数的写法有误"),
    ("invalid boolean", "布尔值的写法有误"),
    ("invalid comment character", "注释中有不允许的字符"),
    ("invalid date-time", "日期时间的写法有误"),
    ("invalid float", "小数的写法有误"),
    ("invalid hexadecimal number", "十六进制整数的写法有误"),
    ("invalid inline table element", "行内表中的内容有误"),
    ("invalid integer number", "整数的写法有误"),
    ("invalid key-value pair", "键值对的写法有误"),
    ("invalid literal string", "单引号文本的写法有误"),
    (
        "invalid multi-line basic string",
        "多行双引号文本的写法有误",
    ),
    (
        "invalid multi-line literal string",
        "多行单引号文本的写法有误",
    ),
    ("invalid octal number", "八进制整数的写法有误"),
    ("invalid string", "文本的写法有误"),
    ("invalid unquoted key", "不带引号的键有误"),
    ("invalid value", "值的写法有误"),
    ("key with no value", "键没有值"),
    (
        "keys cannot be multi-line basic strings",
        "键不能是多行文本",
    ),
    (
        "keys cannot be multi-line literal strings",
        "键不能是多行文本",
    ),
    ("missing array opening", "缺少数组开头的 `[`"),
    (
        "missing assignment between key-value pairs",
        "键与值之间缺少 `=`",
    ),
    (
        "missing comma between array elements",
        "数组元素之间缺少逗号",
    ),
    (
        "missing comma between key-value pairs",
        "键值对之间缺少逗号",
    ),
    ("missing escaped value", "转义符之后缺少内容"),
    ("missing inline table opening", "缺少行内表开头的 `{`"),
    ("missing key for inline table element", "行内表的元素缺少键"),
    ("missing opening quote", "缺少开头的引号"),
    ("missing table open", "缺少表开头的 `[`"),
    ("missing value", "缺少值"),
    ("missing value for key", "键缺少值"),
    ("radix must be lowercase", "进制前缀必须小写"),
    ("recursion limit", "嵌套过深"),
    ("redundant integer number prefix", "整数前缀多余"),
    ("redundant numeric sign", "正负号多余"),
    ("string values must be quoted", "文本必须加引号"),
    ("too few unicode value digits", "Unicode 转义的位数不足"),
    ("unclosed array", "数组没有结束，缺少 `]`"),
    ("unclosed array table", "表数组的标题没有结束，缺少 `]]`"),
    ("unclosed inline table", "行内表没有结束，缺少 `}`"),
    ("unclosed table", "表的标题没有结束，缺少 `]`"),
    ("unexpected `=` in array", "数组中不能有 `=`"),
    ("unexpected key or value", "这里不应有键或值"),
    ("unexpected leading zero", "数字不能以 0 开头"),
    ("unexpected sign", "这里不应有正负号"),
    ("unquoted keys cannot be empty", "不带引号的键不能为空"),
];

/// What the TOML parser expects.
const EXPECTED: [(&str, &str); 18] = [
    ("basic string", "双引号文本"),
    ("characters", "字符"),
    ("digits", "数字"),
    ("etc", "等"),
    ("key", "键"),
    ("letters", "字母"),
    ("literal string", "单引号文本"),
    ("multi-line basic string", "多行双引号文本"),
    ("multi-line literal string", "多行单引号文本"),
    ("newline", "换行"),
    (
        "non-double-quote visible characters",
        "双引号以外的可见字符",
    ),
    ("non-single-quote characters", "单引号以外的字符"),
    (
        "non-single-quote visible characters",
        "单引号以外的可见字符",
    ),
    ("numbers", "数字"),
    ("printable characters", "可打印的字符"),
    ("unicode hexadecimal value", "Unicode 的十六进制值"),
    ("unquoted string", "不带引号的文本"),
    ("value", "值"),
];

/// What types of other crates say about values.
const VALUES: [(&str, &str); 14] = [
    ("empty host", "URL 缺少主机"),
    (
        "invalid international domain name",
        "URL 中的国际化域名有误",
    ),
    ("invalid port number", "URL 中的端口有误"),
    ("invalid IPv4 address", "URL 中的 IPv4 地址有误"),
    ("invalid IPv6 address", "URL 中的 IPv6 地址有误"),
    ("invalid domain character", "URL 的域名中有不允许的字符"),
    (
        "relative URL without a base",
        "应为以 https:// 或 http:// 开头的完整 URL",
    ),
    (
        "relative URL with a cannot-be-a-base base",
        "应为以 https:// 或 http:// 开头的完整 URL",
    ),
    ("URLs more than 4 GB are not supported", "URL 过长"),
    ("invalid IP address syntax", "不是 IP 地址"),
    ("invalid IPv4 address syntax", "不是 IPv4 地址"),
    ("invalid IPv6 address syntax", "不是 IPv6 地址"),
    ("invalid HTTP header name", "不是 HTTP 头的名字"),
    ("invalid HTTP method", "不是 HTTP 方法"),
];
