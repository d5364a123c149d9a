//! A live cluster: what its API server says is watched and translated, and what serves is written back.
