//! What a connector may ask of a login, by a source that exists for these tests only.

mod callback;
mod source;

use menshen::config::Config;

use crate::house::{House, Plan};

/// What every test calls the connector.
const ID: &str = "idp";

#[tokio::test]
async fn no_document_can_name_a_connector_of_the_tests() {
    let house = House::new().await;
    let text = Plan::default().text(&house.source, &house.app);
    for table in [
        "[connector.idp.provided]\n",
        "[connector.idp]\nprovided = true\n",
        "[connector.idp.idp]\n",
        "[connector.idp.Provided]\n",
    ] {
        let error = Config::parse(&format!("{text}\n{table}"), "test.toml").unwrap_err();
        assert!(error.to_string().contains("unknown"), "{table}: {error}");
    }
}
