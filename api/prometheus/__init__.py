"""Numbers as Prometheus reads them: which there are, and how they are made of snapshots.

Nothing is kept between two scrapes, so a series goes with its stream or rule, and a gauge goes
while what it shows is stale. Only families are made, no metric objects of the library: BentoML's
worker would keep those in files that outlive what they count.
"""
