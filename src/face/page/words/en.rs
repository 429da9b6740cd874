//! The sentences in English.

use super::{
    Around, Causes, Cross, Forbidden, Fragment, FrameSignIn, HandOver, Password, SignIn, SignedOut,
    Story, Switch, Words,
};

pub(super) static WORDS: Words = Words {
    request_id: "Request ID",
    source: "Signing in with",
    again: "Try again",
    sign_in_again: "Sign in again",
    sign_in_there: "Go and sign in",
    new_tab: "Sign in in a new tab",
    home: "Go to the home page",
    sign_in: SignIn {
        title: "Please sign in",
        lead: Around {
            before: "Sign in to enter ",
            after: ".",
        },
        with: Around {
            before: "Sign in with ",
            after: "",
        },
        choose: "Choose how to sign in",
        last_used: "Last used",
        present: Around {
            before: "You are signed in as ",
            after: ".",
        },
        go_on: Around {
            before: "Continue as ",
            after: "",
        },
        somebody_else: "Sign in as somebody else",
        no_choice: "There is no way to sign in here yet. Please ask your administrator.",
        by_portal: "You cannot sign in here directly. Please go back to your portal and come from \
                    there.",
        expired: "Your last sign-in has expired. Please sign in again.",
        other_connector: "Where you are going accepts another way of signing in. Please choose it \
                          below.",
        step_up: "Where you are going needs you to confirm once more who you are.",
        signed_out: "You have signed out.",
        going_round: "The automatic sign-in did not finish, so we stopped here. Press the button \
                      to try again. If you keep coming back, check that cookies are not blocked.",
        gone: "Your sign-in service says that you are no longer signed in there, so we ended your \
               sign-in here. Please sign in again.",
    },
    password: Password {
        title: "Sign in",
        login: "User name",
        password: "Password",
        sign_in: "Sign in",
        others: "Choose another way to sign in",
        wrong: "The user name or the password is wrong. Please try again.",
        late: "This page was open for too long. Please enter your password again.",
        lost: "Your sign-in did not arrive complete. Please enter it once more. If this keeps \
               happening, check that cookies are not blocked.",
    },
    signed_out: SignedOut {
        title: "You have signed out",
        here: Around {
            before: "In this browser you have left ",
            after: ".",
        },
        everywhere: "You are signed out on all your other devices, too.",
        source_stays: Around {
            before: "",
            after: " itself is still signed in. If you share this device, sign out there as well.",
        },
        sign_in: "Sign in again",
    },
    forbidden: Forbidden {
        short: "No access",
        title: Around {
            before: "You have no access to ",
            after: "",
        },
        what: "Your sign-in is fine. The rules of this place just do not include you.",
        remedy: "If you need to get in, give your administrator the request ID below. If you \
                 have another account, you can come back with that one.",
        you_are: "You are",
        switch: "Sign in as somebody else",
        back: "Go back",
    },
    cross: Cross {
        short: "Continue to another address?",
        title: Around {
            before: "Continue to ",
            after: "?",
        },
        who: Around {
            before: "You will be signed in there as ",
            after: ".",
        },
        care: "Go on only if you wanted to open this address. If a message or a page brought you here \
               and you do not know the address, close this page.",
        go: Around {
            before: "Continue to ",
            after: "",
        },
    },
    into_frame: Cross {
        short: "Sign in inside the embedded page?",
        title: Around {
            before: "Sign in to ",
            after: " inside the embedded page?",
        },
        who: Around {
            before: "The page that another site embeds will open as ",
            after: ".",
        },
        care: "Go on only if you pressed the button in that page yourself. If you do not know the \
               site that shows it, or do not know where this page came from, close this page.",
        go: Around {
            before: "Continue to ",
            after: "",
        },
    },
    switch: Switch {
        title: "Sign in as somebody else?",
        present: Around {
            before: "You are signed in as ",
            after: ".",
        },
        arrived: Around {
            before: "The link you opened would sign you in as ",
            after: ".",
        },
        care: "Switch only if that is you, and you came from a portal you trust. If somebody sent you \
               the link, do not switch: what you enter afterwards would be filed under their name.",
        go: Around {
            before: "Switch to ",
            after: "",
        },
        stay: Around {
            before: "Stay ",
            after: "",
        },
    },
    frame: FrameSignIn {
        what: "You need to sign in to see this. Signing in happens in a new tab; afterwards this \
               page opens by itself.",
        failed: "The sign-in did not arrive here. Press the button once more. If that does not help, \
                 your browser keeps no cookies of embedded pages: open the page in a tab of its own.",
        no_script: "This page runs no scripts here, so the sign-in cannot arrive. Open the page in a \
                    tab of its own.",
        own_tab: "Open in a tab of its own",
    },
    hand_over: HandOver {
        title: "Go back to the page you came from",
        what: "You are signed in. The embedded page opens by itself, and then this tab closes.",
        remedy: "If the embedded page still asks you to sign in, go back there and press its button \
                 once more; there is nothing to enter this time. If that does not help, open the \
                 page in this tab.",
        open_here: "Open in this tab",
    },
    fragment: Fragment {
        title: "Taking you to sign in",
        lead: "One moment, please. If nothing happens, press the button.",
        go_on: "Continue to sign in",
    },
    causes: Causes {
        not_found: Story {
            title: "There is nothing here",
            what: "No application answers at this address.",
            remedy: "Check that the address is complete, or start again from the home page.",
        },
        bad_request: Story {
            title: "We cannot read this request",
            what: "The address or content your browser sent is malformed, so it was not passed on.",
            remedy: "Start again from the application's home page. If it keeps happening, clear \
                     this site's cookies and try again.",
        },
        proxy_unreadable: Story {
            title: "The way to this site is set up wrongly",
            what: "A proxy in front of this site described your request in a way we cannot read. \
                   Your browser did nothing wrong.",
            remedy: "Tell your administrator the request ID: the log names the header.",
        },
        ambiguous_path: Story {
            title: "This address is ambiguous",
            what: "The application could read some of its characters as a different address, so \
                   we did not let it through.",
            remedy: "Start again from the application's home page. If the application itself gave \
                     you this link, tell your administrator the request ID.",
        },
        store_away: Story {
            title: "We cannot recognise anyone just now",
            what: "The place where sign-ins are kept does not answer. Until it does, we cannot \
                   let anybody through.",
            remedy: "This usually passes quickly. Please try again in a moment.",
        },
        sign_out_unstored: Story {
            title: "You are signed out here, but it is not on record yet",
            what: "Your session was ended on this server. It could not be written down, so another \
                   server may not know yet.",
            remedy: "We keep trying. If you used a shared device, close the browser as well.",
        },
        upstream_down: Story {
            title: "The application is not there",
            what: "We let you through, but the application behind us cannot be reached.",
            remedy: "Please try again in a moment. If it stays like this, tell your administrator \
                     the request ID.",
        },
        upstream_unreadable: Story {
            title: "The application's answer cannot be read",
            what: "We let you through and the application answered, but not in a way that could \
                   be passed on to you.",
            remedy: "What you did may have worked. Please check before you do it again. If it \
                     stays like this, tell your administrator the request ID.",
        },
        upstream_slow: Story {
            title: "The application is not answering",
            what: "We let you through, but the application behind us did not reply in time.",
            remedy: "What you did may have worked. Please check before you do it again.",
        },
        upstream_busy: Story {
            title: "The application is busy",
            what: "We let you through, but as many requests as it may have are with the \
                   application already.",
            remedy: "Please try again in a moment.",
        },
        too_large: Story {
            title: "That is too large",
            what: "What you sent is larger than allowed here, so it was not passed on.",
            remedy: "Choose a smaller file, or ask your administrator to raise the limit.",
        },
        too_large_begun: Story {
            title: "That is too large, and was stopped",
            what: "What you sent is larger than allowed here. The application had received a part of \
                   it when that came out, and the rest was stopped.",
            remedy: "Choose a smaller file, or ask your administrator to raise the limit. See whether \
                     the application kept half a file.",
        },
        too_many_logins: Story {
            title: "Too many sign-ins",
            what: "Too many sign-ins were started from here in a short time.",
            remedy: "Please wait a minute. An office often shares one address, so it need not \
                     have been you.",
        },
        login_missing: Story {
            title: "This browser does not remember the sign-in",
            what: "It may have begun in another browser or app, cookies may be blocked here, or \
                   it was already used.",
            remedy: "Sign in again from here. If you come back to this page, allow cookies for \
                     this site and leave private browsing.",
        },
        login_late: Story {
            title: "The sign-in took too long",
            what: "More than ten minutes passed before you came back, so it no longer counts.",
            remedy: "Just sign in once more.",
        },
        login_forged: Story {
            title: "This sign-in does not match",
            what: "What your browser brought back was not issued by this site, or belongs to \
                   another sign-in, so it was not used.",
            remedy: "Please sign in again. If a link somebody sent you led here, do not use it \
                     again.",
        },
        login_declined: Story {
            title: "Sign-in cancelled",
            what: "You chose to refuse on the sign-in page, so you are not signed in.",
            remedy: "If that was a slip, sign in again and agree.",
        },
        wrong_password: Story {
            title: "Wrong user name or password",
            what: "The user name and the password you entered do not belong together, so you are \
                   not signed in.",
            remedy: "Please try again, and mind capital letters. If you have forgotten the \
                     password, ask your administrator.",
        },
        not_member: Story {
            title: "You are not in this organisation",
            what: "The account you signed in with is not a member here.",
            remedy: "If you have several accounts or organisations, try again with the right one. \
                     If you have just joined, ask your administrator.",
        },
        inactive: Story {
            title: "Your membership is not active",
            what: "Your membership in this organisation is not activated yet, is disabled, or \
                   has ended.",
            remedy: "If you have not activated it, do so on your phone. Otherwise ask your \
                     administrator.",
        },
        out_of_range: Story {
            title: "This application is not open to you yet",
            what: "You are a member, but not among those the application is visible to.",
            remedy: "Ask your administrator to add you or your department to those who may see \
                     the application.",
        },
        bad_answer: Story {
            title: "The sign-in came back incomplete",
            what: "Something in the answer is missing or contradicts itself.",
            remedy: "Please sign in again. If it keeps happening, tell your administrator the \
                     request ID.",
        },
        stale_twice: Story {
            title: "The sign-in expired twice in a row",
            what: "Twice we were told that your sign-in was used or too old, so we stopped.",
            remedy: "Wait a moment, then sign in again without reloading or going back.",
        },
        source_misconfigured: Story {
            title: "Sign-in is not set up correctly",
            what: "The sign-in service refuses this site. It is not your doing; an administrator \
                   must act.",
            remedy: "Tell your administrator the request ID. The log says what to change.",
        },
        source_busy: Story {
            title: "Sign-in is busy",
            what: "The sign-in service is busy, or limits how often this site may ask.",
            remedy: "Please try again in a moment.",
        },
        source_unreachable: Story {
            title: "Sign-in cannot be reached",
            what: "We cannot reach the sign-in service to confirm who you are. It is not your \
                   doing.",
            remedy: "Please try again in a moment. If it stays like this, tell your administrator \
                     the request ID.",
        },
        login_taken: Story {
            title: "Your login belongs to somebody else",
            what: "We know who you are, but your login name is already registered to another \
                   account here. So that two people never become one, we did not let you in.",
            remedy: "Tell your administrator the request ID; they can check and put it right.",
        },
        unknown_person: Story {
            title: "You are not registered here yet",
            what: "We know who you are, but only people who are already registered may enter.",
            remedy: "Ask your administrator to register you, or use another way to sign in if you \
                     have one.",
        },
        account_closed: Story {
            title: "Your account is closed",
            what: "This account can no longer be used to sign in.",
            remedy: "If that should not be, tell your administrator the request ID.",
        },
        revoked: Story {
            title: "The sign-in was ended midway",
            what: "While you were signing in, the sign-ins it belongs to were ended, and this \
                   one with them.",
            remedy: "Just sign in once more.",
        },
        no_login: Story {
            title: "There is no login name for you",
            what: "The sign-in service knows you, but sent nothing that can serve as your login \
                   name.",
            remedy: "Tell your administrator the request ID; the mapping of the login name needs \
                     a look.",
        },
        proof_too_weak: Story {
            title: "One more confirmation is missing",
            what: "We know who you are. But where you are going wants you to confirm who you are in \
                   a stronger way, or just now, and the sign-in service did not tell us that you \
                   did.",
            remedy: "Sign in again and complete every step you are asked for, or choose another \
                     way to sign in. If you are asked for nothing more, tell your administrator \
                     the request ID.",
        },
        ticket_bad: Story {
            title: "This pass no longer works",
            what: "The pass that brings your sign-in here works once, for one minute, and only in \
                   the browser that asked for it.",
            remedy: "Sign in once more; usually there is nothing to enter.",
        },
        entry_refused: Story {
            title: "This sign-in link cannot be used",
            what: "The link that brought you here was used before, has expired, or was not opened \
                   from an accepted page, so you are not signed in.",
            remedy: "Go back to your portal and come again from there. Reloading this page does not \
                     help.",
        },
        not_here: Story {
            title: "Signing in happens elsewhere",
            what: "This site signs everyone in at another address; it cannot be finished here.",
            remedy: "Press the button to go there. Afterwards you are brought back.",
        },
        frame_login: Story {
            title: "Please sign in in a new tab",
            what: "You need to sign in to see this, but that cannot happen inside an embedded \
                   page.",
            remedy: "Come back afterwards and reload. If you still see this page, go on in the new tab.",
        },
        form_login: Story {
            title: "Sign in, then send it again",
            what: "You are not signed in, or no longer, so what you just sent was not accepted.",
            remedy: "Sign in in a new tab, come back here and reload: the browser asks whether to \
                     send it again. Or go back and send it once more.",
        },
    },
};
