//! Parts of the crate for its own tests and benchmarks. They are no part of the API, and any of them may change at any time.

/// Loop of a run, its clock and its services.
pub mod driver {
    pub use crate::driver::{DriveError, drive, release_saved};

    /// Clock of a run.
    pub mod clock {
        pub use crate::driver::clock::Clock;
    }

    /// Services that the loop uses.
    pub mod context {
        pub use crate::driver::context::DriverContext;
        pub use crate::driver::pictures::PictureFiles;
    }
}

/// Amount of work of the tests.
pub mod effort {
    pub use crate::test_effort::{cases, is_full, stride};
}

/// Decisions of a run.
pub mod engine {
    pub use crate::engine::Engine;

    /// Engines of several providers.
    pub mod fleet {
        pub use crate::engine::fleet::Fleet;
    }

    /// Pace of submissions.
    pub mod lane {
        pub use crate::engine::lane::{Blocked, Lane};
    }

    /// Times of polls.
    pub mod schedule {
        pub use crate::engine::schedule::{PollState, Schedule};

        /// Kinds of tasks, and the price of a poll.
        pub mod kinds {
            pub use crate::engine::schedule::kinds::{DurationKind, POLL_PRICE};
        }
    }

    /// Permits of submissions.
    pub mod submit_permit {
        pub use crate::engine::submit_permit::SubmitPermit;
    }

    /// Inputs and outputs of an engine.
    pub mod turn {
        pub use crate::engine::turn::{Action, FindRequest, Input, Received, Signal, StopReason, Turn};
    }
}

/// Image stores, and checks of images.
pub mod images {
    pub use crate::images::local::LocalStore;
    pub use crate::images::memory::MemoryStore;
}

/// Texts of the domain.
pub mod model {
    pub use crate::model::escape::escape;
    pub use crate::model::name::slug;
}

/// Answers of ModelScope's API, and bodies of its requests.
pub mod provider {
    pub use crate::provider::http::api_response::ApiResponse;
    pub use crate::provider::http::image_link::image_refused;
    pub use crate::provider::http::rate_limit_headers::RateLimitHeaders;

    /// Answers of the default provider's API, classified.
    pub mod answer {
        use crate::description::format::Description;
        use crate::model::outcome::{Acceptance, Fault, Status, TaskId};
        use crate::provider::default_provider::DEFAULT;
        use crate::provider::described::acceptance::acceptance;
        use crate::provider::described::polled;
        use crate::provider::http::api_response::ApiResponse;

        pub(super) fn api() -> &'static Description {
            DEFAULT.description.expect("the default provider is described")
        }

        /// Returns the task that a submission for this model created.
        pub fn submitted(answer: &ApiResponse, model: &str) -> Result<Acceptance, Fault> {
            acceptance(api(), answer, "", model)
        }

        /// Returns the status of a task.
        pub fn polled(answer: &ApiResponse, task: &TaskId) -> Result<Status, Fault> {
            polled::polled(api(), answer, task).map(|polled| match polled {
                polled::Polled::Status(status) => status,
                polled::Polled::Result(_) => Status::Running,
            })
        }
    }

    /// Bodies of submissions.
    pub mod body {
        use crate::model::outcome::Fault;
        use crate::model::request::Request;
        use crate::provider::described::request::submit_body;

        /// Returns the body of a submission to the default provider's API.
        pub fn text(request: &Request) -> Result<String, Fault> {
            submit_body(super::answer::api(), request, "").map(|body| body.to_string())
        }
    }
}

/// Results of a run, as a file.
pub mod run {
    pub use crate::run::projection::Projection;
}

/// Simulated service as one value, its messages, and the server that speaks HTTP.
#[cfg(feature = "simulator")]
pub mod simulator {
    pub use crate::simulator::http::{Simulator, SimulatorThread};
    pub use crate::simulator::message::{ContentKey, Delivery, HttpRequest, InlinePicture, Reply, ReplyBody};
    pub use crate::simulator::picture::Picture;
    pub use crate::simulator::range::ByteRange;
    pub use crate::simulator::server::Server;
    pub use crate::simulator::stats::Stats;
    pub use crate::simulator::task::{Task, TaskOutcome, TaskProgress};
}

/// Stores of the ledger.
pub mod store {
    pub use crate::store::memory::{MemoryLedger, MemoryRun, create as create_in_memory};
    pub use crate::store::sqlite::SqliteStore;
    pub use crate::store::totals::{TOTAL_NAMES, Totals};

    /// Shared runs: the port to the server, and the ledger over it.
    pub mod shared {
        pub use crate::store::shared::backend::{
            BackendError, BackendResult, BlockNumber, Claim, CommittedJob, Numbered, Outlook, Renewal, ReservedTimes,
            SharedBackend, SharedCommit, SharedFlags, SharedJob, Testimony, WorkerId, WorkerNumbers, WorkerProfile,
            WorkerRow,
        };
        pub use crate::store::shared::cost::CostTotals;
        pub use crate::store::shared::ledger::SharedLedger;
        pub use crate::store::shared::memory::MemoryServer;
        pub use crate::store::shared::options::{ReadClock, SharedOptions};
        pub use crate::store::shared::recent_testimonies::RecentTestimonies;
    }
}
