//! Lists the containers of every engine with their limits, their use and their view. The numbers are
//! those of the typed views that the served files are made of, so no daemon has to run.
//!
//! ```text
//! lister       reads the containers and their numbers
//! view_mounts  reads the mounts of the containers, and asks the daemons of the views
//! numbers      two samples of a container -> its sizes, and its use for each second  (pure)
//! pressure     the text of a pressure file -> its share                              (pure)
//! missing      the facts about a container -> the reason for which it has no view    (pure)
//! listed       a container of the list, as programs read it                          (pure)
//! order        sort keys and filters                                                 (pure)
//! columns      the text of a container in each column                                (pure)
//! table        the list as lines that fit a terminal                                 (pure)
//! ```

mod columns;
#[cfg(test)]
mod example;
mod listed;
mod lister;
mod missing;
mod numbers;
mod order;
mod pressure;
mod table;
mod view_mounts;

pub use listed::{ListedContainer, ListedCpu, ListedMemory, ListedPressure, ListedView, ViewState};
pub use lister::Lister;
pub use order::{ListFilter, SortKey, sorted};
pub use table::{ListWidth, TableSpace, table};
pub(super) use view_mounts::count_with_view;
