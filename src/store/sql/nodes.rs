//! [`NodeStore`]: what each node says about itself.

use async_trait::async_trait;

use super::super::{NodeRecord, NodeStore, StoreError};
use super::{Begin, Database, Transaction, row, run, values};

#[async_trait]
impl<D: Database> NodeStore for D {
    async fn report_node(&self, node: &NodeRecord) -> Result<(), StoreError> {
        run("report a node", async {
            let sql = "INSERT INTO menshen_node (id, name, program_version, settings_version, problem, \
                       started_at, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) \
                       DO UPDATE SET name = excluded.name, program_version = excluded.program_version, \
                       settings_version = excluded.settings_version, problem = excluded.problem, \
                       started_at = excluded.started_at, seen_at = excluded.seen_at";
            let mut tx = self.begin(Begin::Writing).await?;
            let values = values![
                node.id.as_str(),
                node.name.as_str(),
                node.program_version.as_str(),
                node.settings_version,
                node.problem.as_deref(),
                node.started_at,
                node.seen_at
            ];
            tx.execute(sql, values).await?;
            tx.commit().await
        })
        .await
    }

    async fn remove_node(&self, id: &str) -> Result<(), StoreError> {
        run("remove a node", async {
            let sql = "DELETE FROM menshen_node WHERE id = $1";
            let mut tx = self.begin(Begin::Writing).await?;
            tx.execute(sql, values![id]).await?;
            tx.commit().await
        })
        .await
    }

    async fn nodes(&self, max: u32) -> Result<Vec<NodeRecord>, StoreError> {
        run("list the nodes", async {
            let sql = "SELECT * FROM menshen_node ORDER BY name, started_at, id LIMIT $1";
            let rows = self.read_rows(sql, values![max]).await?;
            rows.iter().map(row::node).collect()
        })
        .await
    }
}
