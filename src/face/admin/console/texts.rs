//! All texts of the console: each in Chinese and in English, so that no translation is missing.

use crate::face::page::Lang;

macro_rules! texts {
    ($($name:ident: $zh:literal, $en:literal;)*) => {
        /// The texts in one language.
        #[derive(Debug)]
        pub(super) struct Texts {
            $(pub(super) $name: &'static str,)*
        }

        static ZH: Texts = Texts { $($name: $zh,)* };
        static EN: Texts = Texts { $($name: $en,)* };
    };
}

pub(super) fn of(lang: Lang) -> &'static Texts {
    match lang {
        Lang::Zh => &ZH,
        Lang::En => &EN,
    }
}

texts! {
    product: "menshen 门神", "menshen";
    skip: "跳到正文", "Skip to the content";
    menu: "菜单", "Menu";
    navigation: "导航", "Navigation";
    other_language: "English", "中文";
    pages: "分页", "Pages";
    previous_page: "上一页", "Previous";
    next_page: "下一页", "Next";
    view_only: "只读", "View only";
    local_administrator: "本地管理员", "Local administrator";
    sign_out: "退出控制台", "Sign out";
    sign_in: "登录", "Sign in";
    sign_in_to_console: "登录管理控制台", "Sign in to the console";
    sign_in_as_person: "用公司账号登录", "Sign in with your account";
    or_as_local_administrator: "或以本地管理员登录", "Or as a local administrator";
    name: "名称", "Name";
    password: "密码", "Password";
    wrong_password: "名称或密码不正确，请再试一次。", "The name or the password is wrong.";
    too_many_wrong: "错误次数太多，请稍等一分钟再试。", "Too many wrong passwords. Wait a minute and try again.";
    password_unchecked: "现在无法核对密码，请稍后再试。", "The password cannot be checked right now. Try again soon.";
    no_local_administrators: "本站不允许本地管理员登录。", "This site has no sign-in for local administrators.";
    refused_title: "您没有权限使用控制台", "You may not use the console";
    signed_in_as: "当前身份：", "Signed in as ";
    refused_detail: "登录没有问题，但 [console] 的规则不包括您。如有需要，请联系管理员；也可以退出后换一个身份。", "Your sign-in is fine, but no rule of [console] admits you. Ask an administrator, or sign out and use another account.";
    to_console: "打开控制台", "Open the console";
    to_overview: "回到概览", "Back to the overview";
    refused_request: "操作没有执行", "Nothing was changed";
    other_origin: "这个请求不是由控制台的页面发出的。", "The request was not sent by a page of the console.";
    old_form: "这个页面已经失效，请重新打开后再操作。", "The page is out of date. Open it again and repeat the action.";
    session_ended: "您的登录已经结束，请重新登录后再操作。", "Your session has ended. Sign in and repeat the action.";
    bad_request: "请求有误", "Bad request";
    bad_method: "控制台的页面不支持这种请求方法。", "Pages of the console do not accept this method.";
    bad_form: "收到的表单不完整或太长。", "The form is incomplete or too long.";
    not_signed_in: "没有登录成功", "You are not signed in";
    bad_ticket: "登录凭证已失效，或属于另一个浏览器。请重新登录。", "The sign-in has expired, or belongs to another browser. Sign in again.";
    unavailable: "暂时不可用", "Unavailable right now";
    store_unavailable: "数据库没有响应，请稍后再试。", "The database does not respond. Try again soon.";
    not_yet_stored: "这个节点已经执行了操作，但还没有写入数据库；menshen 会继续重试。", "The change holds on this node, but is not stored yet. menshen keeps trying.";
    not_found: "没有这个页面", "There is no such page";
    not_found_detail: "地址可能写错了，或者内容已被删除。", "The address may be wrong, or what it named is gone.";
    view_only_detail: "您只有查看权限，不能修改。", "You may look, but not change anything.";
    confirm_title: "请确认", "Please confirm";
    confirm_end_all: "要结束所有人的登录吗？包括您自己在内，每个人都需要重新登录。", "End the sessions of everyone? Everybody, you included, must sign in again.";
    end_all_now: "结束所有人的登录", "End all sessions";
    cancel: "取消", "Cancel";
    overview: "概览", "Overview";
    health: "运行状态", "Health";
    ready: "正常", "Ready";
    ready_degraded: "可以使用，但有问题需要处理", "Ready, with problems";
    not_ready: "不可用", "Not ready";
    here_now: "最近 15 分钟活跃的会话", "Sessions used in the last 15 min";
    open_sessions: "未结束的会话", "Open sessions";
    connectors: "认证源", "Connectors";
    version: "版本", "Version";
    sessions_per_hour: "每小时登录", "Sign-ins per hour";
    sessions_per_hour_note: "最近 24 小时，按小时（UTC）统计。", "The last 24 hours, by the hour (UTC).";
    chart_value: "次", "sign-ins";
    who_is_here: "谁在这里", "Who is here";
    nobody_here: "最近没有人访问。", "Nobody was here lately.";
    all_sessions: "查看全部会话", "All sessions";
    sources: "认证源状态", "Sources";
    no_connectors: "还没有配置认证源。", "No connector is configured yet.";
    reachable: "可以连通", "Reachable";
    unreachable: "无法连通", "Unreachable";
    not_asked_yet: "尚未访问", "Not asked yet";
    last_answer: "最近一次成功：", "Last success: ";
    last_problem: "最近一次失败：", "Last problem: ";
    remedy: "处理办法：", "What to do: ";
    sessions: "会话", "Sessions";
    login: "登录名", "Login";
    connector: "认证源", "Connector";
    all: "全部", "All";
    search: "查找", "Search";
    no_sessions: "没有会话。", "No sessions.";
    person: "人员", "Person";
    from: "来自", "From";
    began: "开始", "Began";
    last_seen: "最近活跃", "Last seen";
    actions: "操作", "Actions";
    end: "结束", "End";
    end_session_of: "结束会话：", "End a session of ";
    end_session_on: "结束会话：", "End the session on ";
    end_many: "批量结束", "End many sessions";
    end_many_note: "结束后，下一次访问就需要重新登录。", "The next request of each needs a new sign-in.";
    sessions_of_person: "某个人（登录名）", "Of a person (login)";
    sessions_of_connector: "某个认证源", "Of a connector";
    end_these: "结束", "End";
    end_all_sessions: "结束所有人的登录…", "End all sessions…";
    unknown_login: "没有这个登录名。", "Nobody has this login.";
    unknown_connector: "没有这个认证源。", "There is no such connector.";
    unknown_session: "这个会话已经结束。", "This session has ended already.";
    unknown_action: "没有这个操作。", "There is no such action.";
    people: "人员", "People";
    find_person: "登录名、姓名、邮箱或手机", "Login, name, e-mail or mobile";
    department: "部门", "Department";
    state: "状态", "State";
    open: "正常", "Open";
    closed: "已关闭", "Closed";
    no_people: "没有找到。", "Nobody found.";
    email: "邮箱", "E-mail";
    mobile: "手机", "Mobile";
    never: "从未", "Never";
    organisation: "组织架构", "Organisation";
    tree_is_cut: "部门太多，只显示一部分。", "There are too many departments; a part is shown.";
    fields: "资料", "Fields";
    account_id: "账号编号", "Account id";
    local_department: "本站部门", "Local department";
    local_groups: "本站用户组", "Local groups";
    created: "创建", "Created";
    account: "账号", "Account";
    close_note: "关闭后，此人的会话立即结束，且不能再登录。", "Ends the person's sessions at once. The person cannot sign in until the account is opened again.";
    open_note: "重新打开后，此人可以再次登录。", "The person can sign in again.";
    reason: "原因", "Reason";
    bad_reason: "原因最多 200 个字符，且不能有控制字符。", "At most 200 characters, without control characters.";
    close_account: "关闭账号", "Close the account";
    reopen_account: "重新打开账号", "Open the account";
    identities: "身份", "Identities";
    no_identities: "没有可用的登录身份。", "The person has no identity.";
    identity_known: "已登录过", "Known";
    identity_expected: "等待首次登录", "Expected";
    identity_gone: "认证源中已不存在", "Gone";
    last_login: "最近登录：", "Last sign-in: ";
    end_all_of_person: "结束此人的全部会话", "End all sessions of this person";
    history: "历史", "History";
    no_history: "没有记录。", "No entries.";
    groups: "用户组", "Groups";
    roles: "角色", "Roles";
    routes: "路由", "Routes";
    explain: "访问解释", "Explain a request";
    explain_note: "看看一个请求会不会放行，以及原因。不会真的发送请求。身份留空表示没有登录。", "Shows whether a request would be allowed, and why. Nothing is sent. Without a login it is a request of nobody.";
    explanation: "解释结果", "Explanation";
    explain_button: "解释", "Explain";
    address: "地址", "Address";
    as_whom: "身份（登录名）", "As (login)";
    method: "方法", "Method";
    no_routes: "没有配置路由。", "No route is configured.";
    host_and_path: "主机与路径", "Host and path";
    access: "访问", "Access";
    upstream: "上游", "Upstream";
    access_public: "公开", "public";
    access_signed_in: "登录即可", "signed-in";
    access_rule: "按规则", "rule";
    audit: "审计", "Audit";
    event: "事件", "Event";
    since: "从（UTC）", "From (UTC)";
    until: "到（UTC）", "To (UTC)";
    time: "时间", "Time";
    by: "操作人", "by";
    details: "详情", "Details";
    no_audit_lines: "没有符合条件的记录。", "No lines match.";
    download: "下载（JSON Lines）", "Download (JSON lines)";
    refused_by_reason: "被拒绝的登录", "Refused sign-ins";
    no_refusals: "最近 24 小时没有被拒绝的登录。", "No sign-in was refused in the last 24 hours.";
    last_changes: "最近的修改", "Last changes";
    no_changes: "还没有修改。", "No changes yet.";
    whole_audit: "查看审计记录", "The whole audit trail";
    sync: "通讯录同步", "Directory sync";
    no_directories: "没有可以读取通讯录的认证源。", "No connector has a directory that can be read.";
    schedule: "定时", "Schedule";
    no_schedule: "不定时", "None";
    brake: "关闭人数上限", "Brake";
    sync_runs: "正在同步", "A sync is running";
    people_read: "已读取人员：", "People read: ";
    last_sync: "上一次同步", "Last sync";
    dry_run: "只比较，不修改", "Dry run";
    without_brake: "忽略关闭人数上限", "Ignore the brake";
    sync_now: "立即同步", "Sync now";
    differences: "差异", "Differences";
    never_synced: "这个节点启动后还没有同步过。", "No sync since this node started.";
    outcome_done: "完成", "Done";
    outcome_refused: "超过上限，未修改", "Stopped by the brake";
    outcome_busy: "其他节点正在同步", "Another node syncs";
    outcome_not_found: "未找到", "Not found";
    outcome_failed: "失败", "Failed";
    count_listed: "读取人员", "Listed";
    count_created: "新建", "Created";
    count_updated: "更新", "Updated";
    count_closed: "关闭", "Closed";
    count_reopened: "重新打开", "Reopened";
    count_refused: "未能处理", "Refused";
    count_departments: "部门", "Departments";
    done_ended: "会话已结束。", "The session was ended.";
    done_ended_all: "这些会话都已结束。", "The sessions were ended.";
    done_closed: "账号已关闭。", "The account is closed.";
    done_opened: "账号已重新打开。", "The account is open.";
    done_sync: "同步已经开始。", "The sync has begun.";
    done_signed_out: "您已退出控制台。", "You are signed out of the console.";
}
