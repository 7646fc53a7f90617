"""Many runs: in several processes, on a cluster, and with what was judged before taken over."""
