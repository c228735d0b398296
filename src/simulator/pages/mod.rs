//! Responses that proxies, load balancers, firewalls and frameworks send in place of the API.
//! Each has a status, headers and a body, from memory of the real ones. No such response proves what happened to the request.

mod clouds;
mod frameworks;
mod page;
mod proxies;

pub(crate) use page::GatewayPage;

/// Returns all pages.
pub(crate) fn all() -> impl Iterator<Item = &'static GatewayPage> {
    [proxies::PAGES, clouds::PAGES, frameworks::PAGES].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_page_has_its_own_name_and_a_status_that_can_be_sent() {
        let names: BTreeSet<_> = all().map(|page| page.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(all().all(|page| (200..600).contains(&page.status)));
    }

    #[test]
    fn none_holds_a_task() {
        assert!(all().all(|page| !page.body.contains("task_id")));
    }
}
