//! Tests of numbered writes that the server has forgotten.

use std::sync::Arc;

use crate::model::time::{Moment, Timestamp};
use crate::store::error::LedgerError;
use crate::store::shared::backend::{Claim, Numbered, SharedBackend, SharedCommit, WorkerId, WorkerProfile};
use crate::store::shared::conformance::jobs;
use crate::store::shared::cost::CostTotals;
use crate::store::shared::link::Link;
use crate::store::shared::memory::MemoryServer;
use crate::store::shared::options::SharedOptions;
use crate::store::shared::outbox::Outbox;
use crate::store::totals::Totals;

/// Goal: a worker whose blocks went to another one writes nothing more, even if the answer that would have told it is lost. Method: the server
/// forgets its claim, another worker claims the blocks, and the claim that is sent again happens without an answer.
#[tokio::test]
async fn a_claim_whose_blocks_others_have_ends_the_worker() {
    let clock = Arc::new(|| Moment::new(0, Timestamp::from_millis(0)));
    let server = Arc::new(MemoryServer::new(jobs(), 2, clock.clone()));
    let (one, two) = (WorkerId(1), WorkerId(2));
    for worker in [one, two] {
        server.join(worker, &WorkerProfile::default()).await.unwrap();
    }
    let options = SharedOptions::new("memory".into());
    let link = Link::new(Arc::clone(&server), (one, WorkerProfile::default()), options, clock);
    let mut outbox = Outbox::default();
    let blocks = outbox.claim(&link, 1).await.unwrap();

    server.forget(1);
    let these = Claim::These(blocks);
    assert!(matches!(server.claim(two, 1, &these).await.unwrap(), Numbered::Written(found, _) if found.len() == 1));
    assert!(matches!(server.claim(one, 1, &these).await.unwrap(), Numbered::Written(found, _) if found.is_empty()));

    let is_fenced = |answer| matches!(answer, Err(LedgerError::Fenced { .. }));
    assert!(is_fenced(outbox.send_again(&link, 0).await));
    let nothing = SharedCommit {
        events: Arc::new([]),
        jobs: vec![],
        blocks_done: vec![],
        totals: Totals::default(),
        cost: CostTotals::default(),
    };
    assert!(is_fenced(outbox.commit(&link, nothing).await));
    let numbers = server.workers().await.unwrap().into_iter().map(|row| row.numbers.n_writes);
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 1], "nothing was written after it");
}
