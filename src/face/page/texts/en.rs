//! The texts in English.

use super::{
    AppLoginTexts, AroundName, CauseTexts, CrossHostTexts, ForbiddenTexts, FragmentTexts,
    FrameSignInTexts, HandOverTexts, LinkTexts, PasswordChangeTexts, PasswordTexts, ProblemText,
    SignInTexts, SignedInTexts, SignedOutTexts, SwitchTexts, Texts, TokensTexts,
};

pub(super) static TEXTS: Texts = Texts {
    request_id: "Request ID",
    signing_in_with: "Signing in with",
    try_again: "Try again",
    sign_in_again: "Sign in again",
    sign_in_on_login_host: "Sign in there",
    sign_in_in_new_tab: "Sign in in a new tab",
    home_page: "Go to the home page",
    go_to: AroundName {
        before: "Go to ",
        after: "",
    },
    switch_account: "Sign in as somebody else",
    login_name: AroundName {
        before: " (",
        after: ")",
    },
    between_names: ", ",
    need_help: "Need help? ",
    sign_in: SignInTexts {
        title: "Please sign in",
        lead: AroundName {
            before: "Sign in to continue to ",
            after: ".",
        },
        sign_in_with: AroundName {
            before: "Sign in with ",
            after: "",
        },
        choose_connector: "Choose how to sign in",
        last_used: "Last used",
        signed_in_as: AroundName {
            before: "You are signed in as ",
            after: ".",
        },
        no_choice_title: "You cannot sign in yet",
        no_choice: "There is no way to sign in here yet. Please ask your administrator.",
        portal_only_title: "Open this page from your portal",
        portal_only: "You cannot sign in here directly. Please go back to your portal and open the \
                    page from there.",
        expired: "Your last sign-in has expired. Please sign in again.",
        other_connector: "The page you want needs another way of signing in. Please choose it below.",
        step_up: "The page you want requires you to confirm your identity again.",
        signed_out: "You have signed out.",
        loop_detected: "The automatic sign-in did not finish. Press the button to try again. If you \
                        come back here, check that cookies are not blocked.",
        provider_signed_out: "You have signed out of your sign-in service, so you are signed out here, \
                              too. Please sign in again.",
    },
    signed_in: SignedInTexts {
        title: "You are signed in",
        person: AroundName {
            before: "Your account: ",
            after: "",
        },
        continue_button: "Continue",
        sign_out: "Sign out",
    },
    password: PasswordTexts {
        title: "Sign in",
        login: "User name",
        password: "Password",
        sign_in: "Sign in",
        other_connectors: "Choose another way to sign in",
        wrong_password: "The user name or the password is wrong. Please try again.",
        expired: "This page has expired. Please enter your password again.",
        incomplete: "The form was not complete. Please enter it again. If this keeps happening, check \
                     that cookies are not blocked.",
    },
    password_change: PasswordChangeTexts {
        title: "Change your password",
        person: AroundName {
            before: "You are changing the password of ",
            after: ".",
        },
        old: "Current password",
        new: "New password (at least 8 characters)",
        again: "New password again",
        change: "Change the password",
        ends_others: "Afterwards you are signed out on your other devices, and access tokens that you made \
                      with the old password no longer work.",
        demanded: "Your administrator asks you to choose a new password before you continue.",
        wrong_password: "The current password is not right. Nothing was changed.",
        differ: "The two new passwords differ. Nothing was changed.",
        same: "The new password is the current one. Choose another one.",
        too_short: "The new password needs at least 8 characters. Nothing was changed.",
        too_long: "The new password is too long (at most 1024 bytes). Nothing was changed.",
        not_one_line: "The new password has characters that cannot be used. Nothing was changed.",
        incomplete: "The form was not complete, and nothing was changed. Please enter it again. If this \
                     keeps happening, make sure that your browser accepts cookies.",
    },
    signed_out: SignedOutTexts {
        title: "You have signed out",
        signed_out_of: AroundName {
            before: "You are signed out of ",
            after: " in this browser.",
        },
        everywhere: "You are signed out on all your other devices, too.",
        provider_session_continues: AroundName {
            before: "",
            after: " itself is still signed in. If you share this device, sign out there as well.",
        },
        sign_in: "Sign in again",
    },
    forbidden: ForbiddenTexts {
        window_title: "No access",
        title: AroundName {
            before: "You have no access to ",
            after: "",
        },
        detail: "You are signed in, but your account has no access to this application.",
        remedy: "If you need access, give your administrator the request ID below. If you have another \
                 account, you can sign in with that one.",
        signed_in_as_label: "Signed in as",
        go_back: "Go back",
    },
    cross_host: CrossHostTexts {
        window_title: "Continue to another address?",
        title: AroundName {
            before: "Continue to ",
            after: "?",
        },
        signed_in_as: AroundName {
            before: "You will be signed in there as ",
            after: ".",
        },
        warning: "Continue only if you wanted to open this address. If a message or a page brought you \
                  here and you do not know the address, close this page.",
        confirm: AroundName {
            before: "Continue to ",
            after: "",
        },
    },
    into_frame: CrossHostTexts {
        window_title: "Sign in inside the embedded page?",
        title: AroundName {
            before: "Sign in to ",
            after: " inside the embedded page?",
        },
        signed_in_as: AroundName {
            before: "The page that another site embeds will open as ",
            after: ".",
        },
        warning: "Continue only if you pressed the button in that page yourself. If you do not know the \
                  site that shows it, or do not know where this page came from, close this page.",
        confirm: AroundName {
            before: "Continue to ",
            after: "",
        },
    },
    switch: SwitchTexts {
        title: "Sign in as somebody else?",
        signed_in_as: AroundName {
            before: "You are signed in as ",
            after: ".",
        },
        new_person: AroundName {
            before: "The link you opened would sign you in as ",
            after: ".",
        },
        warning: "Switch only if that is you, and you came from a portal you trust. If somebody sent you \
               the link, do not switch: what you enter afterwards would be stored under their name.",
        confirm: AroundName {
            before: "Switch to ",
            after: "",
        },
        keep_current: AroundName {
            before: "Stay signed in as ",
            after: "",
        },
    },
    link: LinkTexts {
        title: AroundName {
            before: "Add your ",
            after: " account?",
        },
        signed_in_as: AroundName {
            before: "You are signed in as ",
            after: ".",
        },
        identity: AroundName {
            before: "You have just signed in as ",
            after: ". If you add it, you can sign in to your current account with it too.",
        },
        warning: "Add it only if both accounts are yours. If somebody else was signed in there, do not \
               add it: that person could sign in as you.",
        confirm: "Add",
        cancel: "Do not add",
    },
    frame_sign_in: FrameSignInTexts {
        detail: "You need to sign in to see this. Signing in happens in a new tab; afterwards this \
               page opens by itself.",
        failed: "The sign-in did not arrive here. Press the button once more. If that does not help, \
                 your browser keeps no cookies of embedded pages: open the page in a tab of its own.",
        no_script: "This page runs no scripts here, so the sign-in cannot arrive. Open the page in a \
                    tab of its own.",
        open_in_own_tab: "Open in a tab of its own",
    },
    hand_over: HandOverTexts {
        title: "Go back to the page you came from",
        detail: "You are signed in. The embedded page opens by itself, and then this tab closes.",
        remedy: "If the embedded page still asks you to sign in, go back there and press its button \
                 once more; there is nothing to enter this time. If that does not help, open the \
                 page in this tab.",
        open_in_this_tab: "Open in this tab",
    },
    fragment: FragmentTexts {
        title: "Taking you to sign in",
        lead: "One moment, please. If nothing happens, press the button.",
        continue_button: "Continue to sign in",
    },
    sign_out_by_post: FragmentTexts {
        title: "Signing you out",
        lead: "One moment, please. If nothing happens, press the button.",
        continue_button: "Sign out",
    },
    app_login: AppLoginTexts {
        title: "Signing you in",
        lead: "One moment, please: the app is confirming who you are. If nothing happens, press the button.",
        no_code: "The app did not confirm who you are. Please press the button to sign in.",
    },
    tokens: TokensTexts {
        title: "Access tokens",
        lead: "Programs that cannot sign in on a page, such as git, svn, npm, pip or WebDAV, can use an \
               access token in place of your sign-in.",
        signed_in_as: AroundName {
            before: "You are signed in as ",
            after: ". A token can do whatever you can do: give it to nobody.",
        },
        new_token: AroundName {
            before: "New token “",
            after: "”",
        },
        shown_once: "Copy it now. It is shown only once, and nobody can look it up later.",
        user_name: AroundName {
            before: "Where a program asks for a user name and a password, the user name is ",
            after: "",
        },
        other_user_name: AroundName {
            before: " (or ",
            after: "), and the password is the token.",
        },
        to_list: "I have copied it: back to my tokens",
        your_tokens: "Your tokens",
        none: "You have no tokens.",
        opens: "Applications",
        all_routes: "All that allow tokens",
        only_these: "Only these",
        created: "Created",
        expires: "Expires",
        last_used: "Last used",
        never: "Never",
        end: AroundName {
            before: "End “",
            after: "”",
        },
        make_one: "New token",
        sign_in_first: "You signed in more than an hour ago. Sign in again before you make a token.",
        name: "Name, such as the computer or the program",
        lasts: "Lasts for",
        days: "days",
        minutes: "minutes",
        make: "Make the token",
        ends_with: "A token ends when it expires, when you end it here or sign out everywhere, and when \
                    your account is closed or an administrator revokes your sign-in.",
        ended: "The token has ended. It is no longer accepted.",
        gone: "There is no such token: it may have expired or ended.",
        too_many: "You have as many tokens as allowed. End one that you no longer use.",
        bad_name: "The name must have 1 to 80 characters and no control characters.",
        bad_choice: "Choose how long the token lasts, and at least one application.",
        other_account: "You changed your account after this page was opened, so nothing was changed. \
                        Look again before you go on.",
    },
    causes: CauseTexts {
        not_found: ProblemText {
            title: "There is no application here",
            detail: "No application answers at this address.",
            remedy: "Check that the address is complete, or start again from the home page.",
        },
        bad_request: ProblemText {
            title: "This request cannot be read",
            detail: "The address or content that your browser sent is malformed, so it was not passed on.",
            remedy: "Start again from the application's home page. If it keeps happening, clear \
                     this site's cookies and try again.",
        },
        invalid_proxy_header: ProblemText {
            title: "A proxy in front of this site is set up wrongly",
            detail: "A proxy in front of this site described your request in a way we cannot read. \
                   Your browser did nothing wrong.",
            remedy: "Tell your administrator the request ID: the log names the header.",
        },
        ambiguous_path: ProblemText {
            title: "This address is ambiguous",
            detail: "The application could read some of its characters as a different address, so \
                   we did not let it through.",
            remedy: "Start again from the application's home page. If the application itself gave \
                     you this link, tell your administrator the request ID.",
        },
        store_unavailable: ProblemText {
            title: "We cannot check who you are right now",
            detail: "The database of sign-ins does not answer. Until it does, nobody can be let \
                   through.",
            remedy: "This usually passes quickly. Please try again in a moment.",
        },
        sign_out_unstored: ProblemText {
            title: "You are signed out, but this is not saved yet",
            detail: "Your session was ended on this server. It could not be saved, so another server \
                   may not know yet.",
            remedy: "The server keeps trying. If this is a shared device, close the browser as well.",
        },
        upstream_down: ProblemText {
            title: "The application cannot be reached",
            detail: "You have access, but the application cannot be reached.",
            remedy: "Please try again in a moment. If it stays like this, tell your administrator \
                     the request ID.",
        },
        invalid_upstream_response: ProblemText {
            title: "The application's answer cannot be read",
            detail: "You have access, and the application answered, but its answer could not be \
                   passed on to you.",
            remedy: "What you did may have worked. Please check before you do it again. If it \
                     stays like this, tell your administrator the request ID.",
        },
        upstream_timeout: ProblemText {
            title: "The application is not answering",
            detail: "You have access, but the application did not answer in time.",
            remedy: "What you did may have worked. Please check before you do it again.",
        },
        upstream_busy: ProblemText {
            title: "The application is busy",
            detail: "You have access, but the application already handles as many requests as it \
                   may.",
            remedy: "Please try again in a moment.",
        },
        too_large: ProblemText {
            title: "The upload is too large",
            detail: "What you sent is larger than allowed here, so it was not passed on.",
            remedy: "Choose a smaller file, or ask your administrator to raise the limit.",
        },
        too_large_partly_sent: ProblemText {
            title: "The upload is too large and was stopped",
            detail: "What you sent is larger than allowed here. The application had already received a \
                   part of it, and the rest was stopped.",
            remedy: "Choose a smaller file, or ask your administrator to raise the limit. Check whether \
                     the application kept half a file.",
        },
        too_many_logins: ProblemText {
            title: "Too many sign-ins",
            detail: "Too many sign-ins were started in a short time.",
            remedy: "Please wait a minute. People in one office often share an address, so others \
                     may have caused this.",
        },
        too_many_token_changes: ProblemText {
            title: "Too many changes of tokens",
            detail: "You made or ended many tokens within a minute. Nothing was changed this time.",
            remedy: "Please wait a minute and try again.",
        },
        too_many_wrong_passwords: ProblemText {
            title: "Too many wrong passwords",
            detail: "Too many wrong passwords were entered for this user name or from your network. For a \
                     few minutes no password is checked, not even the right one.",
            remedy: "Please wait a few minutes, then sign in again. If it was not you who entered them, \
                     tell your administrator.",
        },
        flow_cookie_missing: ProblemText {
            title: "This sign-in is not known here",
            detail: "The sign-in may have begun in another browser or app, it may have been used \
                   already, or cookies may be blocked here.",
            remedy: "Sign in again from here. If you come back to this page, allow cookies for \
                     this site and leave private browsing.",
        },
        login_expired: ProblemText {
            title: "The sign-in took too long",
            detail: "It took more than ten minutes, so this sign-in is no longer valid.",
            remedy: "Please sign in again.",
        },
        flow_cookie_forged: ProblemText {
            title: "This sign-in does not match",
            detail: "What your browser brought back was not issued by this site, or belongs to \
                   another sign-in, so it was not used.",
            remedy: "Please sign in again. If a link somebody sent you led here, do not use it \
                     again.",
        },
        login_declined: ProblemText {
            title: "Sign-in cancelled",
            detail: "You declined on the sign-in page, so you are not signed in.",
            remedy: "If that was a mistake, sign in again and agree.",
        },
        wrong_password: ProblemText {
            title: "Wrong user name or password",
            detail: "The user name and the password that you entered do not match.",
            remedy: "Please try again, and check capital letters. If you have forgotten your password, \
                     ask your administrator.",
        },
        password_expired: ProblemText {
            title: "Your password must be changed",
            detail: "The password is right, but it has expired or must be changed before you can \
                   sign in with it.",
            remedy: "Change it where you usually change your password, for example at your \
                     computer, and sign in again. If you cannot, ask your administrator.",
        },
        not_member: ProblemText {
            title: "You are not in this organisation",
            detail: "The account you signed in with is not a member here.",
            remedy: "If you have several accounts or organisations, try again with the right one. \
                     If you have just joined, ask your administrator.",
        },
        inactive_member: ProblemText {
            title: "Your membership is not active",
            detail: "Your membership in this organisation is not activated yet, is disabled, or \
                   has ended.",
            remedy: "If you have not activated it, do so on your phone. Otherwise ask your \
                     administrator.",
        },
        not_visible_to_app: ProblemText {
            title: "This application is not open to you yet",
            detail: "You are a member, but this application is not visible to you.",
            remedy: "Ask your administrator to add you or your department to those who may see \
                     the application.",
        },
        invalid_provider_response: ProblemText {
            title: "The sign-in came back incomplete",
            detail: "The answer of the sign-in service is incomplete or contradicts itself.",
            remedy: "Please sign in again. If it keeps happening, tell your administrator the \
                     request ID.",
        },
        code_rejected_twice: ProblemText {
            title: "The sign-in expired twice in a row",
            detail: "The sign-in service said twice that your sign-in was used before or is too old.",
            remedy: "Wait a moment, then sign in again without reloading or going back.",
        },
        provider_misconfigured: ProblemText {
            title: "Sign-in is not set up correctly",
            detail: "The sign-in service refuses this site. This is not your fault; an administrator \
                   must act.",
            remedy: "Tell your administrator the request ID. The log says what to change.",
        },
        provider_busy: ProblemText {
            title: "Sign-in is busy",
            detail: "The sign-in service is busy, or limits how often this site may ask.",
            remedy: "Please try again in a moment.",
        },
        provider_unreachable: ProblemText {
            title: "Sign-in cannot be reached",
            detail: "We cannot reach the sign-in service to confirm who you are. This is not your \
                   fault.",
            remedy: "Please try again in a moment. If it stays like this, tell your administrator \
                     the request ID.",
        },
        provider_metadata_missing: ProblemText {
            title: "Sign-in is not ready",
            detail: "We could not yet read how the sign-in service confirms who you are (its metadata). \
                   This is not your fault.",
            remedy: "Please try again in a moment. If it stays like this, tell your administrator \
                     the request ID.",
        },
        unsolicited_login: ProblemText {
            title: "Please start signing in here",
            detail: "The sign-in service brought you here with a sign-in that did not begin on this site. \
                   To protect your account, only sign-ins that begin here are accepted.",
            remedy: "Press the button to sign in. Most likely you need not enter your password again.",
        },
        password_unchecked: ProblemText {
            title: "Your password cannot be checked now",
            detail: "The directory that checks passwords does not answer as it should, so we do \
                   not know whether yours is right. This is not your fault.",
            remedy: "Please try again in a moment. If it stays like this, tell your administrator \
                     the request ID.",
        },
        login_taken: ProblemText {
            title: "Your login name is already taken",
            detail: "We know who you are, but your login name is already registered to another \
                   account here. To keep two people from sharing one account, we did not let you in.",
            remedy: "Tell your administrator the request ID; they can check and correct it.",
        },
        unknown_person: ProblemText {
            title: "You are not registered here yet",
            detail: "We know who you are, but only people who are already registered may enter.",
            remedy: "Ask your administrator to register you, or use another way to sign in if you \
                     have one.",
        },
        account_closed: ProblemText {
            title: "Your account is closed",
            detail: "This account can no longer be used to sign in.",
            remedy: "If this is a mistake, tell your administrator the request ID.",
        },
        revoked: ProblemText {
            title: "You have been signed out",
            detail: "While you were signing in, sign-ins of your account or of this sign-in \
                   service were ended, and yours was among them.",
            remedy: "Please sign in again.",
        },
        no_login_name: ProblemText {
            title: "Your login name is missing",
            detail: "The sign-in service knows you, but sent nothing that can serve as your login \
                   name.",
            remedy: "Tell your administrator the request ID; the mapping of the login name \
                     must be checked.",
        },
        auth_too_weak: ProblemText {
            title: "One more confirmation is missing",
            detail: "We know who you are, but the page you want needs a stronger or more recent \
                   confirmation, and the sign-in service did not confirm that you gave it.",
            remedy: "Sign in again and complete every step you are asked for, or choose another \
                     way to sign in. If you are asked for nothing more, tell your administrator \
                     the request ID.",
        },
        invalid_ticket: ProblemText {
            title: "This sign-in ticket is no longer valid",
            detail: "The ticket that carries your sign-in to this site is valid once, for one minute, and only \
                   in the browser that requested it.",
            remedy: "Sign in once more; usually there is nothing to enter.",
        },
        entry_token_refused: ProblemText {
            title: "This sign-in link cannot be used",
            detail: "The link that brought you here was used before, has expired, or was not opened \
                   from an accepted page, so you are not signed in.",
            remedy: "Go back to your portal and open the page again from there. Reloading this page does not \
                     help.",
        },
        account_not_switched: ProblemText {
            title: "The account was not switched",
            detail: "The request to switch accounts has expired or was used before. This browser is \
                   signed in to another account, not to the account of the link.",
            remedy: "If that account is not yours, do not go on with it: sign in again, or open the \
                     link in your portal once more.",
        },
        identity_taken: ProblemText {
            title: "The account belongs to another person",
            detail: "The account you have just signed in with belongs to another person here.",
            remedy: "If both are yours, ask your administrator to join them.",
        },
        not_linked: ProblemText {
            title: "The account was not added",
            detail: "The person who began to add it has signed out, or another person is signed in now.",
            remedy: "Sign in with the account that you want to keep, and try again.",
        },
        session_too_old: ProblemText {
            title: "Sign in again first",
            detail: "You signed in too long ago to add an account. A new sign-in shows that it is still you.",
            remedy: "Sign in again, and begin once more within an hour.",
        },
        not_on_login_host: ProblemText {
            title: "Sign in at another address",
            detail: "This site signs everyone in at another address; the sign-in cannot be finished here.",
            remedy: "Press the button to go there. Afterwards you are brought back.",
        },
        frame_needs_login: ProblemText {
            title: "Please sign in in a new tab",
            detail: "You need to sign in to see this, but that cannot happen inside an embedded \
                   page.",
            remedy: "Come back afterwards and reload. If you still see this page, go on in the new tab.",
        },
        form_needs_login: ProblemText {
            title: "Sign in, then send it again",
            detail: "You are not signed in, or your sign-in has expired, so what you just sent was \
                   not accepted.",
            remedy: "Sign in in a new tab, come back here and reload: the browser asks whether to \
                     send it again. Or go back and send it once more.",
        },
    },
};
