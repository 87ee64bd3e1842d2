"""One step on several cores: a mini-batch's work is partitioned among the workers of a pool.

There are two partitions. By units (tensor parallelism): each worker has some units of every dense
layer, for all samples, and waits for the others wherever it needs what they have written. So a
weight stays with one core, and between cores go only the activations and deltas of a mini-batch,
few beside the weights. By samples (data parallelism): each worker takes a pass of its own over some
samples, and the gradients are added up before the update. Dense networks are partitioned by units
where workers can be processes, all others by samples. A network with batchnorm layers is not
partitioned: their statistics need the whole mini-batch in every layer.

Where a spec says into how many micro-batches a mini-batch is split, the partition is by samples
into as many, whatever the workers: so any number of them gives the same bits, and the processes of
an MPI job may be the workers as well.

Workers are processes forked from the caller's where that works, as a rule on Linux, else threads;
the same number of workers gives the same bits either way.

The rest of nncli uses only this:

    worker_pool    `start_workers`, `WorkerPool`, `most_shares` and `SMALLEST_SHARE`, and
                   `buffers_for`, the memory that workers share
    partition      `partition`, which a `Step` calls
    ranks          `Ranks`, the processes of an MPI job, `fill_rows`, and `Distributed`, the
                   partition among them
    process_worker `ProcessWorker`, a process that runs a job beside the caller, and `can_fork`
    blas           how many cores there are, how many threads BLAS has and may have, and NumPy
                   loaded with one

It may import NumPy, core and the rest of nn. Nothing is imported here, so that `blas.load_numpy`
can run before NumPy is loaded. Start reading at `partition`, then `worker_pool`.
"""
