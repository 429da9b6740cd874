//! The texts in Chinese.

use super::{
    AppLoginTexts, AroundName, CauseTexts, CrossHostTexts, ForbiddenTexts, FragmentTexts,
    FrameSignInTexts, HandOverTexts, LinkTexts, PasswordChangeTexts, PasswordTexts, ProblemText,
    SignInTexts, SignedOutTexts, SwitchTexts, Texts, TokensTexts,
};

pub(super) static TEXTS: Texts = Texts {
    request_id: "请求编号",
    signing_in_with: "登录方式",
    try_again: "再试一次",
    sign_in_again: "重新登录",
    sign_in_on_login_host: "去登录",
    sign_in_in_new_tab: "在新标签页中登录",
    home_page: "回到首页",
    sign_in: SignInTexts {
        title: "请先登录",
        lead: AroundName {
            before: "登录后即可进入 ",
            after: "。",
        },
        sign_in_with: AroundName {
            before: "用",
            after: "登录",
        },
        choose_connector: "选择一种登录方式",
        last_used: "上次使用",
        signed_in_as: AroundName {
            before: "您现在的身份是 ",
            after: "。",
        },
        continue_as: AroundName {
            before: "以",
            after: "的身份继续",
        },
        as_another_person: "换个身份登录",
        no_choice: "这里还没有可用的登录方式，请联系管理员。",
        portal_only: "这里不能直接登录。请回到门户（例如公司内网首页），从那里点进来。",
        expired: "上次登录已经过期，请重新登录。",
        other_connector: "要访问的页面只接受另一种登录方式，请从下面选择。",
        step_up: "要访问的页面需要再确认一次您的身份。",
        signed_out: "您已退出登录。",
        loop_detected: "刚才的自动登录没有完成，所以停在这里。请点击按钮重试；\
                      如果总是回到这里，请确认浏览器没有禁用 Cookie。",
        provider_signed_out: "您在登录服务中已经退出，因此这里的登录也已结束，请重新登录。",
    },
    password: PasswordTexts {
        title: "登录",
        login: "用户名",
        password: "密码",
        sign_in: "登录",
        other_connectors: "换一种登录方式",
        wrong_password: "用户名或密码不正确，请再试一次。",
        expired: "这个页面打开得太久了，请重新输入密码。",
        incomplete: "收到的登录信息不完整，请重新输入。如果总是这样，请确认浏览器没有禁用 Cookie。",
    },
    password_change: PasswordChangeTexts {
        title: "修改密码",
        person: AroundName {
            before: "正在修改 ",
            after: " 的密码。",
        },
        old: "当前密码",
        new: "新密码（至少 8 个字符）",
        again: "再输入一次新密码",
        change: "修改密码",
        ends_others: "修改之后，您在其他设备上的登录和用旧密码创建的访问令牌都会失效。",
        demanded: "管理员要求您先设置新密码，然后才能继续。",
        wrong_password: "当前密码不正确，密码没有修改。",
        differ: "两次输入的新密码不一样，密码没有修改。",
        same: "新密码与当前密码相同，请换一个。",
        too_short: "新密码至少要有 8 个字符，密码没有修改。",
        too_long: "新密码太长了（最多 1024 字节），密码没有修改。",
        not_one_line: "新密码里有不能使用的字符，密码没有修改。",
        incomplete: "收到的内容不完整，密码没有修改，请重新输入。如果总是这样，请确认浏览器没有禁用 Cookie。",
    },
    signed_out: SignedOutTexts {
        title: "您已退出登录",
        signed_out_of: AroundName {
            before: "您已在这个浏览器中退出 ",
            after: "。",
        },
        everywhere: "您在其他设备上的登录也都结束了。",
        provider_session_continues: AroundName {
            before: "",
            after: "本身仍保持登录。如果这台设备不是您一个人用，请在那边也退出。",
        },
        sign_in: "重新登录",
    },
    forbidden: ForbiddenTexts {
        window_title: "没有权限",
        title: AroundName {
            before: "您没有权限进入 ",
            after: "",
        },
        detail: "登录没有问题，只是这里的访问规则还不包括您。",
        remedy: "如果您需要进入，请把下面的请求编号告诉管理员；如果您还有别的身份，可以换一个再来。",
        signed_in_as_label: "当前身份",
        switch: "换个身份登录",
        go_back: "返回",
    },
    cross_host: CrossHostTexts {
        window_title: "要前往另一个地址吗？",
        title: AroundName {
            before: "要前往 ",
            after: " 吗？",
        },
        signed_in_as: AroundName {
            before: "您将以 ",
            after: " 的身份登录那里。",
        },
        warning: "只有您本来就想打开这个地址时，才点继续。如果是别人发来的链接或别的网页带您来的，\
               而您不认识这个地址，请直接关闭本页。",
        confirm: AroundName {
            before: "继续前往 ",
            after: "",
        },
    },
    into_frame: CrossHostTexts {
        window_title: "要在嵌入的页面里登录吗？",
        title: AroundName {
            before: "要在嵌入的页面里登录 ",
            after: " 吗？",
        },
        signed_in_as: AroundName {
            before: "嵌在另一个网站里的页面将以 ",
            after: " 的身份打开。",
        },
        warning: "只有刚才是您自己在那个页面里点了登录，才点继续。如果您不认识显示它的网站，\
               或者不知道本页从何而来，请直接关闭本页。",
        confirm: AroundName {
            before: "继续登录 ",
            after: "",
        },
    },
    switch: SwitchTexts {
        title: "要换一个身份吗？",
        signed_in_as: AroundName {
            before: "您现在的身份是 ",
            after: "。",
        },
        new_person: AroundName {
            before: "刚才打开的链接要让您以 ",
            after: " 的身份登录。",
        },
        warning: "只有您自己就是这个人，并且是从自己信任的门户点进来的，才点切换。如果链接是别人发来的，\
               请不要切换：您之后填写的内容会记在那个人名下。",
        confirm: AroundName {
            before: "切换为 ",
            after: "",
        },
        keep_current: AroundName {
            before: "不切换，仍用 ",
            after: "",
        },
    },
    link: LinkTexts {
        title: AroundName {
            before: "要绑定",
            after: "账号吗？",
        },
        signed_in_as: AroundName {
            before: "您现在的账号是 ",
            after: "。",
        },
        identity: AroundName {
            before: "刚才登录的是 ",
            after: "。绑定之后，用它也能登录到您现在的账号。",
        },
        warning: "两个账号都是您本人的，才可以绑定。如果刚才登录的是别人，请不要绑定：那个人以后就能以您的\
               身份登录。",
        confirm: "绑定",
        cancel: "不绑定",
    },
    frame_sign_in: FrameSignInTexts {
        detail: "这部分内容需要登录。登录在新标签页里进行，完成后这里会自动打开。",
        failed: "刚才的登录没有传到这里，请再点一次登录。如果还是这样，说明浏览器不让嵌入的页面\
                 保存 Cookie，请在单独的标签页中打开。",
        no_script: "这里不能运行脚本，登录无法传到这里。请在单独的标签页中打开。",
        open_in_own_tab: "在单独的标签页中打开",
    },
    hand_over: HandOverTexts {
        title: "请回到刚才的页面",
        detail: "您已登录。嵌入的页面会自动打开，随后本标签页会自己关闭。",
        remedy: "如果嵌入的页面仍要求登录，请回到那里再点一次登录，这次不需要再输入什么。\
                 还是不行的话，可以在本标签页里打开。",
        open_in_this_tab: "在本标签页中打开",
    },
    fragment: FragmentTexts {
        title: "正在前往登录",
        lead: "稍等片刻，马上就到。如果页面一直没有变化，请点下面的按钮。",
        continue_button: "继续登录",
    },
    sign_out_by_post: FragmentTexts {
        title: "正在退出登录",
        lead: "稍等片刻。如果页面一直没有变化，请点下面的按钮。",
        continue_button: "继续退出",
    },
    app_login: AppLoginTexts {
        title: "正在登录",
        lead: "正在通过客户端确认您的身份，请稍候。如果页面一直没有变化，请点下面的按钮。",
        no_code: "客户端没有返回您的身份，请点下面的按钮登录。",
    },
    tokens: TokensTexts {
        title: "访问令牌",
        lead: "git、svn、npm、pip、WebDAV 等不能网页登录的程序，可以用访问令牌代替您的登录。",
        signed_in_as: AroundName {
            before: "您现在的身份是 ",
            after: "。令牌能做您能做的一切，请勿交给他人。",
        },
        new_token: AroundName {
            before: "新令牌“",
            after: "”",
        },
        shown_once: "请立即复制。令牌只显示这一次，离开本页后无法再查看。",
        how_to_send: AroundName {
            before: "程序要求用户名和密码时，用户名填 ",
            after: "（或 __token__），密码填令牌。",
        },
        to_list: "已复制，返回令牌列表",
        your_tokens: "您的令牌",
        none: "您还没有令牌。",
        opens: "可访问的应用",
        all_routes: "所有允许令牌的应用",
        only_these: "只限以下应用",
        created: "创建于",
        expires: "到期",
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
        ends_with: "到期、停用、“退出所有设备”、账号关闭或管理员撤销登录，都会使令牌失效。",
        ended: "令牌已停用，立即生效。",
        gone: "没有这个令牌：它可能已到期或已停用。",
        too_many: "您的令牌已达上限，请先停用不再使用的令牌。",
        bad_name: "请填写名称：1 到 80 个字符，不含控制字符。",
        bad_choice: "请选择有效期，并至少选择一个应用。",
        other_account: "本页打开后您换了身份，所以没有任何改动。请核对后再试。",
    },
    causes: CauseTexts {
        not_found: ProblemText {
            title: "这个地址没有应用",
            detail: "本站没有配置这个地址。",
            remedy: "请检查地址是否写全，或从首页重新进入。",
        },
        bad_request: ProblemText {
            title: "请求格式不正确",
            detail: "浏览器发来的地址或内容格式不正确，所以没有转发给应用。",
            remedy: "请从应用首页重新进入；如果总是这样，清除本站的 Cookie 后再试。",
        },
        invalid_proxy_header: ProblemText {
            title: "前面的代理配置有误",
            detail: "本站前面的代理发来的请求头无法识别，与您的浏览器无关。",
            remedy: "请把请求编号告诉管理员，日志里写着是哪个请求头。",
        },
        ambiguous_path: ProblemText {
            title: "这个地址有歧义",
            detail: "地址里有些字符可能被应用读成另一个地址，为了安全没有放行。",
            remedy: "请从应用首页重新进入。如果这是应用自己给出的链接，请把请求编号告诉管理员。",
        },
        store_unavailable: ProblemText {
            title: "暂时无法确认身份",
            detail: "保存登录状态的数据库没有响应，现在无法核对身份，所以暂时不能放行。",
            remedy: "一般很快就会恢复，请过一会儿再试。",
        },
        sign_out_unstored: ProblemText {
            title: "已退出，但尚未保存",
            detail: "您在这台服务器上的会话已经结束，但写入数据库失败，其他服务器可能还不知道。",
            remedy: "我们会继续尝试。如果这是公用设备，请同时关闭浏览器。",
        },
        upstream_down: ProblemText {
            title: "无法访问应用",
            detail: "本站已经放行，但连接不到应用。",
            remedy: "请过一会儿再试；如果一直这样，请把请求编号告诉管理员。",
        },
        invalid_upstream_response: ProblemText {
            title: "应用的响应无法识别",
            detail: "本站已经放行，应用也有响应，但响应的格式有问题，无法转发给您。",
            remedy: "刚才的操作可能已经生效，重做之前请先确认一下；如果一直这样，请把请求编号告诉管理员。",
        },
        upstream_timeout: ProblemText {
            title: "应用响应超时",
            detail: "本站已经放行，但应用没有在规定时间内响应。",
            remedy: "刚才的操作可能已经生效，重做之前请先确认一下。",
        },
        upstream_busy: ProblemText {
            title: "应用正忙",
            detail: "本站已经放行，但应用同时处理的请求已达上限。",
            remedy: "请过一会儿再试。",
        },
        too_large: ProblemText {
            title: "内容太大了",
            detail: "发送的内容超过了允许的大小，没有转发给应用。",
            remedy: "请换小一些的文件，或请管理员放宽限制。",
        },
        too_large_partly_sent: ProblemText {
            title: "内容太大了，只传了一部分",
            detail: "发送的内容超过了允许的大小。发现时应用已经收到一部分，传输随即中断。",
            remedy: "请换小一些的文件，或请管理员放宽限制；顺便看一下应用里有没有留下半个文件。",
        },
        too_many_logins: ProblemText {
            title: "登录过于频繁",
            detail: "短时间内从这里发起的登录太多。",
            remedy: "请等一分钟再试。同一办公室的人可能共用一个出口地址，不一定是您造成的。",
        },
        too_many_token_changes: ProblemText {
            title: "令牌操作过于频繁",
            detail: "您在一分钟内创建或停用了太多令牌，这一次没有任何改动。",
            remedy: "请等一分钟再试。",
        },
        too_many_wrong_passwords: ProblemText {
            title: "密码错误次数过多",
            detail: "这个用户名或您所在的网络输错密码的次数太多。接下来几分钟内不再校验密码，正确的密码也不行。",
            remedy: "请等几分钟再登录。如果不是您本人输错的，请告知管理员。",
        },
        flow_cookie_missing: ProblemText {
            title: "这个浏览器不记得这次登录",
            detail: "登录可能是在另一个浏览器或应用里开始的，也可能是浏览器不保存 Cookie，\
                   或这次登录早已用过。",
            remedy: "请在这里重新登录；如果又回到本页，请允许本站的 Cookie，并关闭无痕模式。",
        },
        login_expired: ProblemText {
            title: "登录超时了",
            detail: "从开始到回来超过了十分钟，这次登录已经作废。",
            remedy: "重新登录一次就好。",
        },
        flow_cookie_forged: ProblemText {
            title: "登录信息不匹配",
            detail: "浏览器带回来的登录信息不是本站发出的，或属于另一次登录，所以没有采用。",
            remedy: "请重新登录。如果您是点了别人发来的链接才到这里，请不要再点它。",
        },
        login_declined: ProblemText {
            title: "登录已取消",
            detail: "您在登录页面上选择了拒绝，所以没有登录。",
            remedy: "如果只是点错了，重新登录并同意即可。",
        },
        wrong_password: ProblemText {
            title: "用户名或密码不正确",
            detail: "您输入的用户名和密码对不上，所以没有登录。",
            remedy: "请再试一次，并留意大小写和输入法。如果忘了密码，请联系管理员。",
        },
        password_expired: ProblemText {
            title: "您的密码需要修改",
            detail: "密码是对的，但已经过期，或者要先修改才能用来登录。",
            remedy: "请在平时修改密码的地方（例如您的电脑上）改好，再重新登录；如果改不了，请联系管理员。",
        },
        not_member: ProblemText {
            title: "您不在这个组织里",
            detail: "您登录时用的账号不是本组织的成员。",
            remedy: "如果您有几个账号或企业，请换成本组织的再试；如果刚刚加入，请联系管理员。",
        },
        inactive_member: ProblemText {
            title: "您的成员身份没有生效",
            detail: "您在本组织的成员身份尚未激活、已被停用，或已经离开。",
            remedy: "尚未激活的，请先在手机上激活；其他情况请联系管理员。",
        },
        not_visible_to_app: ProblemText {
            title: "您不在可用范围内",
            detail: "您是本组织的成员，但这个应用的可见范围还不包括您。",
            remedy: "请管理员把您或您的部门加入该应用的可见范围。",
        },
        invalid_provider_response: ProblemText {
            title: "登录结果不完整",
            detail: "登录服务送回来的内容缺了一部分，或互相矛盾。",
            remedy: "请重新登录；如果总是这样，请把请求编号告诉管理员。",
        },
        code_rejected_twice: ProblemText {
            title: "登录凭据接连失效",
            detail: "登录服务两次都说凭据已经用过或过期，所以没有继续。",
            remedy: "请稍等再重新登录，其间不要刷新或后退。",
        },
        provider_misconfigured: ProblemText {
            title: "登录方式配置有误",
            detail: "登录服务拒绝了本站的请求。这不是您的问题，需要管理员处理。",
            remedy: "请把请求编号告诉管理员，日志里写着该改哪里。",
        },
        provider_busy: ProblemText {
            title: "登录服务繁忙",
            detail: "登录服务繁忙，或限制了本站的请求次数。",
            remedy: "请过一会儿再试。",
        },
        provider_unreachable: ProblemText {
            title: "无法连接登录服务",
            detail: "本站暂时连接不到登录服务，无法确认您是谁。这不是您的问题。",
            remedy: "请过一会儿再试；如果一直这样，请把请求编号告诉管理员。",
        },
        provider_metadata_missing: ProblemText {
            title: "登录服务尚未就绪",
            detail: "本站暂时读不到登录服务的元数据，无法确认您是谁。这不是您的问题。",
            remedy: "请过一会儿再试；如果一直这样，请把请求编号告诉管理员。",
        },
        unsolicited_login: ProblemText {
            title: "请从这里开始登录",
            detail: "登录服务把您带到了这里，但这次登录不是从本站发起的。为了保护您的账号，本站只接受从这里开始的登录。",
            remedy: "请点下面的按钮登录，一般不需要再次输入密码。",
        },
        password_unchecked: ProblemText {
            title: "现在无法核对密码",
            detail: "核对密码的目录服务没有正常应答，所以不知道您的密码对不对。这不是您的问题。",
            remedy: "请过一会儿再试；如果一直这样，请把请求编号告诉管理员。",
        },
        login_taken: ProblemText {
            title: "登录名已经属于别人",
            detail: "您的身份已经确认，但您的登录名在这里属于另一个账号。\
                   为了避免把两个人当成一个人，没有放行。",
            remedy: "请把请求编号告诉管理员，由管理员核对后处理。",
        },
        unknown_person: ProblemText {
            title: "您还没有登记",
            detail: "您的身份已经确认，但这里只允许已登记的人进入。",
            remedy: "请联系管理员为您登记；如果您有别的登录方式，也可以换一种。",
        },
        account_closed: ProblemText {
            title: "您的账号已停用",
            detail: "这个账号已经停用，不能再用来登录。",
            remedy: "如果您认为这不对，请把请求编号告诉管理员。",
        },
        revoked: ProblemText {
            title: "登录被中途结束",
            detail: "在您登录的同时，有关的登录被统一结束了，这一次也随之作废。",
            remedy: "重新登录一次就好。",
        },
        no_login_name: ProblemText {
            title: "缺少登录名",
            detail: "登录服务确认了您的身份，但没有给出可以作登录名的内容。",
            remedy: "请把请求编号告诉管理员，需要检查登录名取自哪一项。",
        },
        auth_too_weak: ProblemText {
            title: "还差一步身份确认",
            detail: "您的身份已经确认，但要访问的页面需要更严格或刚刚完成的身份验证，而登录服务没有确认您已完成。",
            remedy: "请重新登录，并完成要求的每一步，或换一种登录方式。如果没有出现更多步骤，\
                     请把请求编号告诉管理员。",
        },
        invalid_ticket: ProblemText {
            title: "登录凭证已失效",
            detail: "从登录页带来的登录凭证只能使用一次，一分钟内有效，而且只能在发起登录的浏览器里使用。",
            remedy: "重新登录一次就好，通常不需要再输入什么。",
        },
        entry_token_refused: ProblemText {
            title: "这个登录链接不能用",
            detail: "带您来的链接已经用过、已经过期，或者不是从认可的页面打开的，所以没有登录。",
            remedy: "请回到门户（例如公司内网首页），从那里重新点进来。刷新本页没有用。",
        },
        account_not_switched: ProblemText {
            title: "没有切换账号",
            detail: "这次切换已经过期或已经用过。这个浏览器里登录的是另一个账号，不是链接里的那个人。",
            remedy: "如果现在登录的不是您本人，请不要继续使用：请重新登录，或者回到门户重新点进来。",
        },
        identity_taken: ProblemText {
            title: "这个账号属于另一个人",
            detail: "刚才登录的账号已经属于另一个人，不能再绑定到您的账号。",
            remedy: "如果两个账号都是您的，请联系管理员合并。",
        },
        not_linked: ProblemText {
            title: "没有绑定",
            detail: "开始绑定的人已经退出登录，或者现在登录的是另一个人。",
            remedy: "请登录要绑定的账号，然后再试一次。",
        },
        session_too_old: ProblemText {
            title: "请先重新登录",
            detail: "您登录已经超过一小时，不能绑定账号。重新登录一次，才能确认操作的仍是您本人。",
            remedy: "请重新登录，并在一小时内重新绑定。",
        },
        not_on_login_host: ProblemText {
            title: "登录在另一个地址",
            detail: "本站的登录统一在另一个地址上进行，这里不能完成登录。",
            remedy: "点下面的按钮过去，登录后会自动带您回来。",
        },
        frame_needs_login: ProblemText {
            title: "请在新标签页中登录",
            detail: "这部分内容需要登录，但登录不能在嵌入的页面里进行。",
            remedy: "登录后回到这里，刷新即可。如果还是看到这个页面，请在新标签页里继续使用。",
        },
        form_needs_login: ProblemText {
            title: "请先登录，再提交一次",
            detail: "您还没有登录，或者登录已经过期，刚才提交的内容没有被接受。",
            remedy: "请在新标签页中登录，然后回到这里刷新，浏览器会问是否重新提交；也可以后退，再提交一次。",
        },
    },
};
