//! The written protocol lives beside this file: `spec/README.md` is the way in. There is no code
//! here; `tests/it/` holds the checks that tie the prose to the code and the house to its rules.
//!
//! | the check | what it demands |
//! |---|---|
//! | `citations` | every rule has code and a test that cite it, and every citation has a rule |
//! | `vectors` | every message reads and writes the bytes in `spec/vectors/` |
//! | `kinds` | the table of message kinds says what the code says |
//! | `limits` | the table of limits says what the code says |
//! | `cases` | every case of the catalogue of bad input has a test that bears its number |
//! | `layers` | who imports whom, and what stays free of the standard library |
//! | `tidy` | lengths of files, functions and lines; nothing left half done |
