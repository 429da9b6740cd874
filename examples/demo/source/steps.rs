//! What the demo says of its source: who can sign in, how, and how a session ends.

use std::fmt::Display;

use menshen::text;
use menshen::wording::Text;

use super::{EMPLOYEES, Source};

impl Source {
    /// The people who can sign in, if the source asks for passwords.
    pub(in super::super) fn people(&self) -> Text {
        if !matches!(self, Self::Ldap(_) | Self::Local(_)) {
            return Text::default();
        }
        let mut lines = String::new();
        for person in &EMPLOYEES {
            lines.push_str(&format!(
                "    {:<12} {:<20} {}, {}\n",
                person.login, person.password, person.name, person.department
            ));
        }
        text!(
            "\n    user name    password             who\n{lines}",
            "\n    用户名       密码                 人员\n{lines}"
        )
    }

    /// How to sign in.
    pub(in super::super) fn sign_in_step(&self) -> Text {
        match self {
            Self::WeCom(_) => text!(
                "sign in with the (simulated) WeCom. Choose an employee, such as 张三.",
                "用（模拟的）企业微信登录。选一位员工，例如张三。"
            ),
            Self::Lark(_) => text!(
                "sign in with the (simulated) Feishu. Choose an employee, such as 张三. Somebody of another\n     \
                 company, or whose account is frozen, is refused.",
                "用（模拟的）飞书登录。选一位员工，例如张三。其他公司的人和账号被冻结的人会被拒绝。"
            ),
            Self::DingTalk(_) => text!(
                "sign in with the (simulated) DingTalk. Choose an employee, such as 张三.",
                "用（模拟的）钉钉登录。选一位员工，例如张三。"
            ),
            Self::Yunzhijia(yunzhijia) => {
                let workbench = yunzhijia.workbench_url();
                text!(
                    "scan the code of the (simulated) Yunzhijia: choose an employee, such as 张三. In the app\n     \
                     people open the application from the workbench instead ({workbench}).",
                    "扫（模拟的）云之家的二维码：选一位员工，例如张三。\n     \
                     在云之家里则从工作台打开应用（{workbench}）。"
                )
            }
            Self::Oidc(provider) => {
                let issuer = provider.issuer();
                text!(
                    "sign in with the (simulated) OpenID provider at {issuer}. Choose an employee, such as 张三.",
                    "用（模拟的）OpenID 提供方 {issuer} 登录。选一位员工，例如张三。"
                )
            }
            Self::Ldap(directory) => {
                let url = directory.url();
                text!(
                    "sign in with a user name and a password,\n     which the (simulated) LDAP directory at {url} \
                     checks. The e-mail address\n     zhangsan@corp.example is accepted as a user name, too.",
                    "用用户名和密码登录，由（模拟的）LDAP 目录 {url} 校验。\n     \
                     用户名也可以写邮箱 zhangsan@corp.example。"
                )
            }
            Self::Local(_) => text!(
                "sign in with a user name and a password, which menshen checks itself.",
                "用用户名和密码登录，由 menshen 自己校验。"
            ),
        }
    }

    /// How the source ends the session of a person.
    pub(in super::super) fn leaving_step(&self) -> Text {
        match self {
            Self::WeCom(wecom) => dismissal(("WeCom", "企业微信"), wecom.console_url()),
            Self::Lark(lark) => dismissal(("Feishu", "飞书"), lark.console_url()),
            Self::DingTalk(dingtalk) => dismissal(("DingTalk", "钉钉"), dingtalk.console_url()),
            Self::Yunzhijia(yunzhijia) => {
                let console = yunzhijia.console_url();
                text!(
                    "Dismiss yourself (办理离职) in the console of the simulated Yunzhijia ({console}):\n     \
                     Yunzhijia sends no events, so menshen asks about you every few seconds, and the open\n     \
                     applications lose your session.",
                    "在模拟的云之家管理后台（{console}）给自己办理离职：\n     \
                     云之家不发事件，menshen 每隔几秒查询一次，已打开的应用随后退出登录。"
                )
            }
            Self::Oidc(_) => text!(
                "Open /.menshen/sign_in: menshen says who you are. 切换账号 (Sign in as somebody else) leads\n     \
                 to the provider again.",
                "打开 /.menshen/sign_in：menshen 显示您是谁。“切换账号”会再次进入提供方的页面。"
            ),
            Self::Ldap(_) => text!(
                "Enter a wrong password: the page does not say whether the user name or the password \
                 is\n     wrong. After ten of them the directory is not asked for five minutes.",
                "输错密码：页面不会说错的是用户名还是密码。错十次后，五分钟内不再向目录查询。"
            ),
            Self::Local(file) => {
                let path = file.path();
                let path = path.display();
                text!(
                    "Remove yourself from the people file ({path}):\n     the open applications lose your session \
                     within a second.",
                    "把自己从人员文件（{path}）里删掉：\n     一秒之内，已打开的应用就会退出登录。"
                )
            }
        }
    }
}

/// A person is dismissed in the console of a source that sends events. The names are those in English and Chinese.
fn dismissal((english, chinese): (&str, &str), console: impl Display) -> Text {
    text!(
        "Dismiss yourself (办理离职) in the console of the simulated {english} ({console}):\n     \
         {english} sends an encrypted event, and the open applications lose your session at once.",
        "在模拟的{chinese}管理后台（{console}）给自己办理离职：\n     \
         {chinese}会发来加密的事件，已打开的应用立刻退出登录。"
    )
}
