//! The file systems of the two connections: from a request of the kernel to the reply.
//!
//! ```text
//! direct         Direct: replies to the requests of the direct connection, with
//! direct_names     names: looks one up, lists a directory
//! direct_files     open files: opens, reads, writes a trigger, polls, closes
//! direct_sizes     sizes: that of the content that a thread would read now
//! cached         Cached: replies to the requests of the cached connection
//! server         Server: the state that both file systems share
//! schedule       the moment at which the daemon works on a request
//! content_cache  ContentCache: the latest contents of the files, by inode number
//! open_files     OpenFiles: the open files of the direct connection, kept for a successor
//! no_mmap        NoMmap: the refusal of mmap(2) for the files of the direct connection
//! triggers       Triggers: the triggers on pressure files
//! suspects       Suspects: the requests in work, of which a daemon may die
//! shares         Shares: the share of each container in the daemon's work
//! strikes        Strikes: the containers whose requests no daemon could answer
//! request        the identity of a request, panic guard, and the file that a thread is at
//! reply          parts of a reply: attributes, TTLs, the slice that a read gets
//! error          ReplyError: the errors of requests, and the errno of each
//! ```

mod cached;
mod content_cache;
mod direct;
mod direct_files;
mod direct_names;
mod direct_sizes;
mod error;
mod no_mmap;
mod open_files;
mod reply;
mod request;
mod schedule;
mod server;
mod shares;
mod strikes;
mod suspects;
mod triggers;
mod uncharged;

pub use cached::Cached;
pub use direct::Direct;
pub use reply::{attributes, slice};
pub use server::Server;
