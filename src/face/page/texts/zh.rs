//! The texts in Chinese.

use super::{
    AppLoginTexts, AroundName, CauseTexts, CrossHostTexts, ForbiddenTexts, FragmentTexts,
    FrameSignInTexts, HandOverTexts, LinkTexts, PasswordChangeTexts, PasswordTexts, ProblemText,
    SignInTexts, SignedInTexts, SignedOutTexts, SwitchTexts, Texts, TokensTexts,
};

pub(super) static TEXTS: Texts = Texts {
    request_id: "请求编号",
    signing_in_with: "登录方式",
    try_again: "重试",
    sign_in_again: "重新登录",
    sign_in_on_login_host: "前往登录",
    sign_in_in_new_tab: "在新标签页中登录",
    home_page: "返回首页",
    go_to: AroundName {
        before: "进入",
        after: "",
    },
    switch_account: "切换账号",
    login_name: AroundName {
        before: "（",
        after: "）",
    },
    between_names: "、",
    need_help: "需要帮助？",
    sign_in: SignInTexts {
        title: "请先登录",
        lead: AroundName {
            before: "登录后即可访问",
            after: "。",
        },
        sign_in_with: AroundName {
            before: "使用",
            after: "登录",
        },
        choose_connector: "选择登录方式",
        last_used: "上次使用",
        signed_in_as: AroundName {
            before: "您当前登录的账号是",
            after: "。",
        },
        no_choice: "暂无可用的登录方式，请联系管理员。",
        portal_only: "此处不能直接登录，请从公司门户（如内网首页）进入。",
        expired: "登录已过期，请重新登录。",
        other_connector: "您要访问的页面需要使用其他登录方式，请在下方选择。",
        step_up: "您要访问的页面需要再次验证身份。",
        signed_out: "您已退出登录。",
        loop_detected: "自动登录未完成。请点击下方按钮重试；如果仍然回到本页，请检查浏览器是否禁用了 Cookie。",
        provider_signed_out: "您已在登录服务中退出，本站也随之退出，请重新登录。",
    },
    signed_in: SignedInTexts {
        title: "您已登录",
        person: AroundName {
            before: "当前账号：",
            after: "",
        },
        continue_button: "继续访问",
        sign_out: "退出登录",
    },
    password: PasswordTexts {
        title: "登录",
        login: "用户名",
        password: "密码",
        sign_in: "登录",
        other_connectors: "其他登录方式",
        wrong_password: "用户名或密码不正确，请重试。",
        expired: "页面已超时，请重新输入密码。",
        incomplete: "提交的信息不完整，请重新输入。如果反复出现，请检查浏览器是否禁用了 Cookie。",
    },
    password_change: PasswordChangeTexts {
        title: "修改密码",
        person: AroundName {
            before: "正在修改",
            after: "的密码。",
        },
        old: "当前密码",
        new: "新密码（至少 8 个字符）",
        again: "确认新密码",
        change: "修改密码",
        ends_others: "修改后，您在其他设备上的登录，以及用旧密码创建的访问令牌都会失效。",
        demanded: "管理员要求您设置新密码后再继续。",
        wrong_password: "当前密码不正确，密码未修改。",
        differ: "两次输入的新密码不一致，密码未修改。",
        same: "新密码不能与当前密码相同。",
        too_short: "新密码至少需要 8 个字符，密码未修改。",
        too_long: "新密码过长（最多 1024 字节），密码未修改。",
        not_one_line: "新密码包含不支持的字符，密码未修改。",
        incomplete: "提交的信息不完整，密码未修改，请重新输入。如果反复出现，请检查浏览器是否禁用了 Cookie。",
    },
    signed_out: SignedOutTexts {
        title: "您已退出登录",
        signed_out_of: AroundName {
            before: "您已在此浏览器中退出",
            after: "。",
        },
        everywhere: "您在其他设备上也已全部退出。",
        provider_session_continues: AroundName {
            before: "",
            after: "仍处于登录状态。如果这是公用设备，请一并退出。",
        },
        sign_in: "重新登录",
    },
    forbidden: ForbiddenTexts {
        window_title: "没有权限",
        title: AroundName {
            before: "您没有权限访问",
            after: "",
        },
        detail: "您已成功登录，但没有此应用的访问权限。",
        remedy: "如需访问，请将下方的请求编号提供给管理员；如果您有其他账号，也可以切换账号。",
        signed_in_as_label: "当前账号",
        go_back: "返回",
    },
    cross_host: CrossHostTexts {
        window_title: "要前往另一个地址吗？",
        title: AroundName {
            before: "要前往",
            after: "吗？",
        },
        signed_in_as: AroundName {
            before: "您将以",
            after: "的身份登录该地址。",
        },
        warning: "请确认这是您要访问的地址再继续。如果您是通过他人发来的链接或其他网页来到这里，且不认识此地址，请关闭本页。",
        confirm: AroundName {
            before: "继续前往",
            after: "",
        },
    },
    into_frame: CrossHostTexts {
        window_title: "要在嵌入的页面中登录吗？",
        title: AroundName {
            before: "要在嵌入的页面中登录",
            after: "吗？",
        },
        signed_in_as: AroundName {
            before: "嵌入其他网站的页面将以",
            after: "的身份打开。",
        },
        warning: "请确认是您本人在该页面中点击了登录，再继续。如果您不认识嵌入它的网站，或不清楚本页从何而来，请关闭本页。",
        confirm: AroundName {
            before: "继续登录",
            after: "",
        },
    },
    switch: SwitchTexts {
        title: "要切换账号吗？",
        signed_in_as: AroundName {
            before: "您当前登录的账号是",
            after: "。",
        },
        new_person: AroundName {
            before: "您打开的链接将让您以",
            after: "的身份登录。",
        },
        warning: "请确认这是您本人的账号，并且您是从可信的门户进入的，再切换。如果链接由他人发来，请勿切换：您之后提交的内容会记在对方名下。",
        confirm: AroundName {
            before: "切换到",
            after: "",
        },
        keep_current: AroundName {
            before: "不切换，继续使用",
            after: "",
        },
    },
    link: LinkTexts {
        title: AroundName {
            before: "要绑定",
            after: "账号吗？",
        },
        signed_in_as: AroundName {
            before: "您当前的账号是",
            after: "。",
        },
        identity: AroundName {
            before: "刚才登录的是",
            after: "。绑定后，使用它也可以登录您当前的账号。",
        },
        warning: "仅当两个账号都属于您本人时才能绑定。如果刚才登录的是他人，请勿绑定，否则对方就能以您的身份登录。",
        confirm: "绑定",
        cancel: "不绑定",
    },
    frame_sign_in: FrameSignInTexts {
        detail: "此内容需要登录。登录将在新标签页中进行，完成后会自动显示。",
        failed: "未收到登录结果，请再次点击登录。如果仍然如此，说明浏览器不允许嵌入的页面保存 Cookie，请在单独的标签页中打开。",
        no_script: "此处无法运行脚本，不能接收登录结果。请在单独的标签页中打开。",
        open_in_own_tab: "在单独的标签页中打开",
    },
    hand_over: HandOverTexts {
        title: "请返回刚才的页面",
        detail: "登录成功。嵌入的页面会自动打开，本标签页随后自动关闭。",
        remedy: "如果嵌入的页面仍要求登录，请返回该页面再次点击登录，无需重新输入。如果仍未打开，可以在本标签页中打开。",
        open_in_this_tab: "在本标签页中打开",
    },
    fragment: FragmentTexts {
        title: "正在跳转到登录页",
        lead: "请稍候。如果页面没有跳转，请点击下方按钮。",
        continue_button: "继续登录",
    },
    sign_out_by_post: FragmentTexts {
        title: "正在退出登录",
        lead: "请稍候。如果页面没有跳转，请点击下方按钮。",
        continue_button: "退出登录",
    },
    app_login: AppLoginTexts {
        title: "正在登录",
        lead: "正在通过客户端验证您的身份，请稍候。如果页面没有跳转，请点击下方按钮。",
        no_code: "客户端未返回您的身份，请点击下方按钮登录。",
    },
    tokens: TokensTexts {
        title: "访问令牌",
        lead: "git、svn、npm、pip、WebDAV 等无法在网页上登录的程序，可以使用访问令牌代替您登录。",
        signed_in_as: AroundName {
            before: "您当前登录的账号是",
            after: "。令牌拥有您的全部访问权限，请勿交给他人。",
        },
        new_token: AroundName {
            before: "新令牌“",
            after: "”",
        },
        shown_once: "请立即复制。令牌只显示这一次，离开本页后无法再查看。",
        user_name: AroundName {
            before: "程序要求用户名和密码时，用户名填",
            after: "",
        },
        other_user_name: AroundName {
            before: "（或",
            after: "），密码填令牌。",
        },
        to_list: "已复制，返回令牌列表",
        your_tokens: "您的令牌",
        none: "暂无令牌。",
        opens: "可访问的应用",
        all_routes: "所有支持令牌的应用",
        only_these: "仅限以下应用",
        created: "创建时间",
        expires: "到期时间",
        last_used: "上次使用",
        never: "从未使用",
        end: AroundName {
            before: "停用“",
            after: "”",
        },
        make_one: "创建令牌",
        sign_in_first: "您登录已超过一小时。为安全起见，请重新登录后再创建令牌。",
        name: "名称，例如所用的电脑或程序",
        lasts: "有效期",
        days: "天",
        minutes: "分钟",
        make: "创建令牌",
        ends_with: "到期、停用、在所有设备上退出登录、账号关闭或管理员撤销登录，都会使令牌失效。",
        ended: "令牌已停用，立即生效。",
        gone: "令牌不存在，可能已到期或已停用。",
        too_many: "令牌数量已达上限，请先停用不再使用的令牌。",
        bad_name: "请填写名称：1 到 80 个字符，不含控制字符。",
        bad_choice: "请选择有效期，并至少选择一个应用。",
        other_account: "打开本页后您切换了账号，因此未做任何更改。请核对后重试。",
    },
    causes: CauseTexts {
        not_found: ProblemText {
            title: "找不到该应用",
            detail: "此地址没有对应的应用。",
            remedy: "请检查地址是否完整，或从首页重新进入。",
        },
        bad_request: ProblemText {
            title: "请求格式不正确",
            detail: "浏览器发送的地址或内容格式不正确，未转发给应用。",
            remedy: "请从应用首页重新进入；如果反复出现，请清除本站的 Cookie 后重试。",
        },
        invalid_proxy_header: ProblemText {
            title: "前置代理配置有误",
            detail: "本站前面的代理发送了无法识别的请求头，与您的浏览器无关。",
            remedy: "请将请求编号提供给管理员，日志中记录了具体的请求头。",
        },
        ambiguous_path: ProblemText {
            title: "地址存在歧义",
            detail: "地址中的部分字符可能被应用解析为其他地址，出于安全考虑未放行。",
            remedy: "请从应用首页重新进入。如果链接来自应用本身，请将请求编号提供给管理员。",
        },
        store_unavailable: ProblemText {
            title: "暂时无法验证身份",
            detail: "保存登录状态的数据库没有响应，暂时无法验证您的身份。",
            remedy: "通常会很快恢复，请稍后重试。",
        },
        sign_out_unstored: ProblemText {
            title: "已退出，但尚未保存",
            detail: "您在当前服务器上的会话已结束，但未能写入数据库，其他服务器可能尚未同步。",
            remedy: "系统会继续重试。如果这是公用设备，请同时关闭浏览器。",
        },
        upstream_down: ProblemText {
            title: "应用暂时无法访问",
            detail: "您有访问权限，但目前无法连接到应用。",
            remedy: "请稍后重试；如果问题持续，请将请求编号提供给管理员。",
        },
        invalid_upstream_response: ProblemText {
            title: "应用返回了无法识别的响应",
            detail: "您有访问权限，应用也已响应，但响应格式有误，无法转发给您。",
            remedy: "刚才的操作可能已经生效，重试前请先确认；如果问题持续，请将请求编号提供给管理员。",
        },
        upstream_timeout: ProblemText {
            title: "应用响应超时",
            detail: "您有访问权限，但应用未在规定时间内响应。",
            remedy: "刚才的操作可能已经生效，重试前请先确认。",
        },
        upstream_busy: ProblemText {
            title: "应用繁忙",
            detail: "您有访问权限，但应用同时处理的请求已达上限。",
            remedy: "请稍后重试。",
        },
        too_large: ProblemText {
            title: "内容过大",
            detail: "提交的内容超过了允许的大小，未转发给应用。",
            remedy: "请选择较小的文件，或请管理员放宽限制。",
        },
        too_large_partly_sent: ProblemText {
            title: "内容过大，仅上传了一部分",
            detail: "提交的内容超过了允许的大小。应用已收到一部分，随后传输中断。",
            remedy: "请选择较小的文件，或请管理员放宽限制，并检查应用中是否留有不完整的文件。",
        },
        too_many_logins: ProblemText {
            title: "登录过于频繁",
            detail: "短时间内发起的登录过多。",
            remedy: "请一分钟后重试。同一办公室可能共用一个出口地址，不一定由您造成。",
        },
        too_many_token_changes: ProblemText {
            title: "令牌操作过于频繁",
            detail: "您在一分钟内创建或停用了过多令牌，本次未做任何更改。",
            remedy: "请一分钟后重试。",
        },
        too_many_wrong_passwords: ProblemText {
            title: "密码错误次数过多",
            detail: "该用户名或您所在的网络输错密码的次数过多，几分钟内即使密码正确也无法登录。",
            remedy: "请几分钟后重新登录。如果不是您本人操作，请联系管理员。",
        },
        flow_cookie_missing: ProblemText {
            title: "找不到这次登录的记录",
            detail: "登录可能是在其他浏览器或应用中开始的，也可能是浏览器未保存 Cookie，或这次登录已经使用过。",
            remedy: "请在此重新登录；如果仍然回到本页，请允许本站使用 Cookie，并退出无痕模式。",
        },
        login_expired: ProblemText {
            title: "登录已超时",
            detail: "登录用时超过十分钟，已失效。",
            remedy: "请重新登录。",
        },
        flow_cookie_forged: ProblemText {
            title: "登录信息不匹配",
            detail: "浏览器带回的登录信息不是由本站发出，或属于另一次登录，因此未被接受。",
            remedy: "请重新登录。如果您是通过他人发来的链接来到这里，请不要再次打开该链接。",
        },
        login_declined: ProblemText {
            title: "登录已取消",
            detail: "您在登录页面上选择了拒绝，因此没有登录。",
            remedy: "如果是误操作，请重新登录并同意授权。",
        },
        wrong_password: ProblemText {
            title: "用户名或密码不正确",
            detail: "您输入的用户名与密码不匹配。",
            remedy: "请重试，注意大小写和输入法。如果忘记密码，请联系管理员。",
        },
        password_expired: ProblemText {
            title: "您的密码需要修改",
            detail: "密码正确，但已过期，或需要修改后才能登录。",
            remedy: "请在平时修改密码的地方（如您的电脑）修改密码后重新登录；如果无法修改，请联系管理员。",
        },
        not_member: ProblemText {
            title: "您不是本组织的成员",
            detail: "您登录所用的账号不属于本组织。",
            remedy: "如果您有多个账号或企业，请切换到本组织的账号后重试；如果您刚刚加入，请联系管理员。",
        },
        inactive_member: ProblemText {
            title: "您的成员身份未生效",
            detail: "您在本组织的成员身份尚未激活、已被停用，或者您已离开本组织。",
            remedy: "如果尚未激活，请先在手机上激活；其他情况请联系管理员。",
        },
        not_visible_to_app: ProblemText {
            title: "您不在应用的可见范围内",
            detail: "您是本组织的成员，但不在该应用的可见范围内。",
            remedy: "请联系管理员，将您或您的部门加入该应用的可见范围。",
        },
        invalid_provider_response: ProblemText {
            title: "登录结果不完整",
            detail: "登录服务返回的内容不完整，或前后矛盾。",
            remedy: "请重新登录；如果问题持续，请将请求编号提供给管理员。",
        },
        code_rejected_twice: ProblemText {
            title: "登录凭证连续失效",
            detail: "登录服务连续两次提示凭证已使用或已过期。",
            remedy: "请稍后重新登录，登录过程中不要刷新或后退。",
        },
        provider_misconfigured: ProblemText {
            title: "登录方式配置有误",
            detail: "登录服务拒绝了本站的请求。这不是您的问题，需要管理员处理。",
            remedy: "请将请求编号提供给管理员，日志中说明了需要修改的内容。",
        },
        provider_busy: ProblemText {
            title: "登录服务繁忙",
            detail: "登录服务繁忙，或限制了本站的请求频率。",
            remedy: "请稍后重试。",
        },
        provider_unreachable: ProblemText {
            title: "无法连接登录服务",
            detail: "本站暂时无法连接登录服务，不能验证您的身份。这不是您的问题。",
            remedy: "请稍后重试；如果问题持续，请将请求编号提供给管理员。",
        },
        provider_metadata_missing: ProblemText {
            title: "登录服务尚未就绪",
            detail: "本站暂时无法读取登录服务的元数据，不能验证您的身份。这不是您的问题。",
            remedy: "请稍后重试；如果问题持续，请将请求编号提供给管理员。",
        },
        unsolicited_login: ProblemText {
            title: "请从本页开始登录",
            detail: "您从登录服务来到这里，但这次登录不是从本站发起的。为保护您的账号，本站只接受从此处发起的登录。",
            remedy: "请点击下方按钮登录，通常无需再次输入密码。",
        },
        password_unchecked: ProblemText {
            title: "暂时无法验证密码",
            detail: "验证密码的目录服务没有正常响应，无法确认密码是否正确。这不是您的问题。",
            remedy: "请稍后重试；如果问题持续，请将请求编号提供给管理员。",
        },
        login_taken: ProblemText {
            title: "登录名已被占用",
            detail: "您的身份已确认，但您的登录名在本站属于另一个账号。为避免将两个人混为一人，未放行。",
            remedy: "请将请求编号提供给管理员，由管理员核实处理。",
        },
        unknown_person: ProblemText {
            title: "您的账号尚未登记",
            detail: "您的身份已确认，但本站只允许已登记的人员访问。",
            remedy: "请联系管理员登记；如果您有其他登录方式，也可以尝试。",
        },
        account_closed: ProblemText {
            title: "您的账号已停用",
            detail: "此账号已停用，无法登录。",
            remedy: "如有疑问，请将请求编号提供给管理员。",
        },
        revoked: ProblemText {
            title: "登录已被终止",
            detail: "在您登录的过程中，相关登录已被统一结束，本次登录也随之失效。",
            remedy: "请重新登录。",
        },
        no_login_name: ProblemText {
            title: "缺少登录名",
            detail: "登录服务已确认您的身份，但没有返回可用作登录名的信息。",
            remedy: "请将请求编号提供给管理员，检查登录名的映射设置。",
        },
        auth_too_weak: ProblemText {
            title: "需要进一步验证身份",
            detail: "您的身份已确认，但要访问的页面需要更严格或更近期的身份验证，而登录服务未确认您已完成。",
            remedy: "请重新登录并完成所有步骤，或使用其他登录方式。如果没有出现更多步骤，请将请求编号提供给管理员。",
        },
        invalid_ticket: ProblemText {
            title: "登录凭证已失效",
            detail: "登录凭证只能使用一次，一分钟内有效，且只能在发起登录的浏览器中使用。",
            remedy: "请重新登录，通常无需再次输入。",
        },
        entry_token_refused: ProblemText {
            title: "登录链接无效",
            detail: "您打开的链接已使用过、已过期，或不是从认可的页面打开的，因此没有登录。",
            remedy: "请返回门户（如公司内网首页）重新进入。刷新本页无效。",
        },
        account_not_switched: ProblemText {
            title: "未切换账号",
            detail: "本次切换已过期或已使用过。当前浏览器登录的是另一个账号，不是链接对应的账号。",
            remedy: "如果当前登录的不是您本人，请不要继续使用：请重新登录，或返回门户重新进入。",
        },
        identity_taken: ProblemText {
            title: "该账号已属于他人",
            detail: "刚才登录的账号已属于另一个人，无法绑定到您的账号。",
            remedy: "如果两个账号都是您的，请联系管理员合并。",
        },
        not_linked: ProblemText {
            title: "未绑定账号",
            detail: "发起绑定的人已退出登录，或当前登录的是另一个人。",
            remedy: "请登录要保留的账号，然后重新绑定。",
        },
        session_too_old: ProblemText {
            title: "请先重新登录",
            detail: "您登录已超过一小时，不能绑定账号。请重新登录，以确认是您本人操作。",
            remedy: "请重新登录，并在一小时内完成绑定。",
        },
        not_on_login_host: ProblemText {
            title: "请在其他地址登录",
            detail: "本站统一在另一个地址登录，此处无法完成登录。",
            remedy: "请点击下方按钮前往，登录后会自动返回。",
        },
        frame_needs_login: ProblemText {
            title: "请在新标签页中登录",
            detail: "此内容需要登录，但无法在嵌入的页面中登录。",
            remedy: "登录后请返回此处并刷新。如果仍然看到本页，请在新标签页中继续使用。",
        },
        form_needs_login: ProblemText {
            title: "请登录后重新提交",
            detail: "您尚未登录，或登录已过期，刚才提交的内容未被接受。",
            remedy: "请在新标签页中登录，然后返回此处刷新，浏览器会询问是否重新提交；也可以后退后再次提交。",
        },
    },
};
