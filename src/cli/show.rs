//! How work is shown while it goes on: a bar on a terminal, lines elsewhere, or nothing.

use std::io;

use promptbatch::driver::clock::Clock;
use promptbatch::model::counts::Counts;
use promptbatch::model::price::Price;
use promptbatch::model::progress::{Progress, Unseen};
use promptbatch::report::Reporters;
use promptbatch::report::bars::{Above, Bars};
use promptbatch::report::chores::Chores;
use promptbatch::report::lines::Lines;
use promptbatch::report::tally::Tally;
use promptbatch::report::terminal::Terminal;

use crate::cli::flags::{Display, ShowArgs};

/// How a run is shown that goes on from these counts, at this price.
pub fn reporters(show: &ShowArgs, counts: &Counts, price: Option<Price>, above: &Above) -> Reporters {
    let tally = Tally::new(counts).with_price(price);
    match show.display() {
        Display::Nothing => Reporters::default(),
        Display::Lines => Reporters(vec![Box::new(Lines::new(Box::new(io::stderr()), tally, show.verbose))]),
        Display::Bar => Reporters(vec![Box::new(Bars::on(Terminal::stderr(), above.clone(), tally, show.verbose))]),
    }
}

/// How long work is shown that is no run.
pub fn chores(display: Display, above: &Above) -> Box<dyn Progress> {
    let clock = Clock::system();
    let now = move || clock.now();
    match display {
        Display::Nothing => Box::new(Unseen),
        Display::Lines => Box::new(Chores::lines(Box::new(io::stderr()), now)),
        Display::Bar => Box::new(Chores::bar(Terminal::stderr(), above.clone(), now)),
    }
}
