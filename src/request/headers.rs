//! Which headers travel: hop-by-hop out, forged identity out, ours in.
