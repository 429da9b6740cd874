//! A connector that reads a file is built again at each reload, because the file may have changed.

use menshen::login::connector::Callback;

use super::test_source::TestSource;
use super::{ID, https_setup};
use crate::upstream::TempFolder;

#[tokio::test]
async fn a_connector_with_a_file_of_its_own_is_built_again_at_a_reload() {
    let folder = TempFolder::new();
    let path = folder.path("metadata.xml");
    for (files, builds) in [(vec![path], [1, 2, 3]), (Vec::new(), [1, 1, 1])] {
        let source = TestSource::with_callback(Callback::default()).with_files(files);
        // One value, so that the settings stay the same.
        let kind = source.kind();
        let setup = || https_setup().connector_of_kind(ID, "", kind.clone());
        let menshen = setup().start().await;
        for expected in builds {
            assert_eq!(source.builds(), expected);
            menshen.reload(&setup()).await.unwrap();
        }
    }
}
