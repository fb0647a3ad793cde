"""Access: who is who on the tailnet, what the derived policy lets through, and by which name that works.

    access = Access(lab, facts)
    access.grants                      # each with its line
    reach(access, "erich", "grafana")  # the verdict with its chain

Without a policy.hujson of the lab's own all of it is looked up in the derived grants; with one, the policy engine
decides about the two together. docs/decisions/0015 says what stands for whom, and why.
"""
