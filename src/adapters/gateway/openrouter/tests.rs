//! Judging, paging and names.
