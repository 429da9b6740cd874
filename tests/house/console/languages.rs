//! Both languages: by Accept-Language, and by a choice that is remembered.

use super::*;

async fn lang_of(visit: &mut Visit, path: &str) -> (String, String) {
    let answer = visit.get(path).await;
    let html = answer.text();
    let lang = html.split("<html lang=\"").nth(1).unwrap();
    let header = answer.header("content-language").unwrap().to_owned();
    (lang.split('"').next().unwrap().to_owned(), header)
}

#[tokio::test]
async fn the_language_follows_accept_language_until_one_is_chosen() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let is = |lang: &str| (lang.to_owned(), lang.to_owned());
    for page in PAGES {
        assert_eq!(lang_of(&mut visit, page).await, is("zh-CN"), "{page}");
    }
    let accept = ("Accept-Language".to_owned(), "en-GB,en;q=0.9".to_owned());
    visit.browser.extra_headers.push(accept);
    for page in PAGES {
        assert_eq!(lang_of(&mut visit, page).await, is("en"), "{page}");
    }
    assert_eq!(lang_of(&mut visit, "/console/?lang=zh").await, is("zh-CN"));
    assert_eq!(lang_of(&mut visit, "/console/people").await, is("zh-CN"));
    assert_eq!(
        lang_of(&mut visit, "/console/sync?lang=en&done=x").await,
        is("en")
    );
    assert_eq!(lang_of(&mut visit, "/console/people").await, is("en"));
    assert_eq!(
        lang_of(&mut visit, "/console/people?lang=fr").await,
        is("en")
    );
}

#[tokio::test]
async fn a_page_links_to_itself_in_the_other_language() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let html = visit
        .get("/console/people?text=a%26b&lang=en&done=ended")
        .await;
    let expected = "href=\"/console/people?text=a%26b&#38;lang=zh\" lang=\"zh-CN\"";
    assert!(html.text().contains(expected), "{}", html.text());
}

/// A page without the content of these elements.
fn without(html: &str, element: &str) -> String {
    let start = format!("<{element}");
    let mut parts = html.split(&start);
    let mut rest = parts.next().unwrap().to_owned();
    for part in parts {
        rest.push_str(part.split_once(&format!("</{element}>")).unwrap().1);
    }
    rest
}

#[tokio::test]
async fn no_page_of_one_language_has_words_of_the_other() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    for page in PAGES.into_iter().chain(["/console/no-such-page"]) {
        let separator = if page.contains('?') { '&' } else { '?' };
        let html = visit.get(&format!("{page}{separator}lang=en")).await.text();
        // The link to the other language, the name of the connector, a rule and a sample are Chinese.
        let rest = without(&without(&html, "textarea"), "bdi")
            .replace("中文", "")
            .replace("企业微信", "")
            .replace("财务部", "");
        let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        assert!(!rest.contains(is_chinese), "{page}: {rest}");
    }
}
