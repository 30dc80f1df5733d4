//! Every limit of the domain, with its reason. Limits of the network live with the server.

/// Largest message body, in bytes. A page of sixteen of the largest fits a 4 MiB gRPC frame.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Longest id of a member or a group, in bytes. Ids stand in every stored key.
pub const ID_BYTES_MAX: usize = 1_024;
/// Longest idempotency key, in bytes. Callers use UUIDs; a hash in hex has 128.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;
/// Most members one group send may list. Its record must fit a log segment.
pub const GROUP_MEMBERS_MAX: usize = 100_000;
/// Most entries in one page.
pub const PAGE_ENTRIES_MAX: usize = 1_000;
/// Most bytes of message bodies in one page. With its framing a page fits the 4 MiB that gRPC
/// clients accept by default.
pub const PAGE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// The limits one running service applies. Each is a setting; the constants are the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message body, in bytes.
    pub message_bytes_max: usize,
    /// Most members one group send may list.
    pub group_members_max: usize,
    /// Most entries in one page.
    pub page_entries_max: usize,
    /// Most bytes of message bodies in one page; the first entry comes however large it is.
    pub page_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_bytes_max: MESSAGE_BYTES_MAX,
            group_members_max: GROUP_MEMBERS_MAX,
            page_entries_max: PAGE_ENTRIES_MAX,
            page_bytes_max: PAGE_BYTES_MAX,
        }
    }
}
