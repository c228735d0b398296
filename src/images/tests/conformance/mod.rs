//! Conformance suite: every promise of the traits, tested on every store.
//!
//! A new store adds one line to the call of the macro, and a [`World`] that opens it.

pub(crate) mod partial_downloads;
mod saved_images;
mod saves;

use crate::images::memory::MemoryStore;
#[cfg(feature = "cloud")]
use crate::images::object::tests::{ObjectWorld, real::RealWorld};
use crate::images::tests::{LocalWorld, World};
use crate::images::validate::verdict::CheckLimits;

/// Function that creates an empty store.
type NewWorld = fn(CheckLimits) -> Box<dyn World>;

/// Makes a module of tests for each store. Attributes of a store are those of its tests.
macro_rules! conformance {
    ($($(#[$condition:meta])* $store:ident: $new:expr),+ $(,)? => $tests:tt) => {
        $(mod $store {
            conformance!(@ [$($condition),*] $new, $tests);
        })+
    };
    (@ $conditions:tt $new:expr, [$($part:ident::$test:ident),+ $(,)?]) => {
        $(conformance!(% $conditions $new, $part, $test);)+
    };
    (% [$($condition:meta),*] $new:expr, $part:ident, $test:ident) => {
        $(#[$condition])*
        #[tokio::test]
        async fn $test() {
            use super::*;
            $part::$test($new).await;
        }
    };
}

conformance! {
    local: |limits| Box::new(LocalWorld::new(limits)),
    memory: |limits| Box::new(MemoryStore::new(limits)),
    #[cfg(feature = "cloud")]
    object: |limits| Box::new(ObjectWorld::new(limits, true)),
    #[cfg(feature = "cloud")]
    object_without_conditions: |limits| Box::new(ObjectWorld::new(limits, false)),
    #[cfg(feature = "cloud")]
    #[ignore = "needs the address of a storage in PROMPTBATCH_TEST_STORAGE, and its environment"]
    storage: |limits| Box::new(RealWorld::new(limits)),
    => [
        saves::an_image_is_saved_under_its_name_and_described,
        saves::the_bytes_decide_the_extension,
        saves::a_folder_is_made_when_its_first_image_comes,
        saves::an_equal_file_is_taken_for_the_image_itself,
        saves::another_file_keeps_its_name,
        saves::jobs_with_the_same_prompt_do_not_meet,
        saves::what_is_not_a_whole_image_leaves_nothing_behind,
        saves::a_fault_on_the_way_is_passed_on_and_leaves_nothing_behind,
        saves::a_body_without_end_is_left_at_the_limit,
        saves::saves_of_the_same_name_at_once_all_end_well,
        saves::an_equal_save_of_the_same_job_at_once_is_harmless,
        saves::a_save_that_is_dropped_anywhere_is_done_again_without_a_trace,
        partial_downloads::what_broke_off_is_gone_on_with,
        partial_downloads::a_part_survives_a_kill_and_a_dropped_save,
        partial_downloads::a_part_that_is_not_there_is_refused,
        partial_downloads::a_part_of_another_task_is_none_and_removed,
        partial_downloads::a_part_is_gone_with_its_job_and_no_other,
        partial_downloads::what_cannot_become_an_image_is_not_kept,
        saved_images::every_damage_is_found,
        saved_images::what_is_read_is_what_was_recorded,
        saved_images::what_is_damaged_is_kept_in_quarantine_and_never_over_another,
        saved_images::a_replaced_image_is_kept_under_another_name,
        saved_images::a_kept_image_gets_its_first_name_again,
        saved_images::an_image_that_is_not_kept_keeps_its_name,
        saved_images::the_list_is_complete_and_holds_nothing_else,
        saved_images::a_link_is_the_image_or_nothing,
    ]
}
