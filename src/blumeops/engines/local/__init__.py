"""Site `here`: units as processes of this machine, under supervisor.

`engine` is the front door; `manager` is the border to whatever keeps processes; `programs` gets binaries.
"""
