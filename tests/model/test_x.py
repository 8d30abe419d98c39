import os, time, cProfile, pstats
import pandas as pd, pytest, logging
from datetime import datetime, UTC
from include.spec.load import load_all
from include.steps.run import Run
from include.steps import train, monitor, score
from include.warehouse.engine import connect_engine, transaction
from include.warehouse.load import Batch, RunRef, load_window
from include.windows import Window
from include.lake.store import Lake

def T(name, f, *a, prof=False):
    t=time.perf_counter()
    if prof:
        p=cProfile.Profile(); r=p.runcall(f,*a); 
    else: r=f(*a)
    print(f"{name:40s} {time.perf_counter()-t:.3f}s", flush=True)
    if prof: pstats.Stats(p).sort_stats("cumtime").print_stats(45)
    return r

def test_x(mlflow_server, warehouse_url, tmp_path, capsys):
  with capsys.disabled():
    os.environ["MLFLOW_TRACKING_URI"]=mlflow_server
    from include.local.warm import WARM
    import importlib,sys
    [importlib.import_module(m) for m in WARM]
    p=load_all()['air_quality']
    acc=pd.read_pickle('/tmp/lab/model/air.pkl')
    engine=connect_engine(warehouse_url)
    with engine.begin() as c:
        pid=c.exec_driver_sql("insert into raw.payload (pipeline, source, window_start_at, window_end_at, sha256, uri, media_type, size_bytes, status_code, request, headers, is_simulated, fetched_at) values ('air_quality','station','2004-03-01','2005-05-01','x','x','x',1,200,'{}','{}',false,now()) returning payload_id").scalar_one()
    acc=acc.assign(payload_id=pid)
    for w in Window.parse('2004-03-01','2004-11-01').split('month'):
        rows=acc[(acc.valid_at>=w.start)&(acc.valid_at<w.end)]
        with transaction(engine) as c: load_window(c,p,w,[Batch('station',rows,pd.DataFrame(),[],'x')],RunRef('ingest',str(w)))
    run=Run(p,RunRef('train','r1'),{"reason":"x","force":False,"start":None,"end":None},None,[],datetime.now(UTC),engine,Lake(f"file://{tmp_path}/lake"))

    def child(name, f, *a):
        import pickle
        r,w=os.pipe()
        pid=os.fork()
        if pid==0:
            try:
                before=set(sys.modules); t=time.perf_counter(); res=f(*a); dt=time.perf_counter()-t
                new=[m for m in sys.modules if m not in before]
                tops={}
                for m in new: tops.setdefault('.'.join(m.split('.')[:2]),0); tops['.'.join(m.split('.')[:2])]+=1
                print(f"{name:30s} {dt:.3f}s  {len(new)} modules:", dict(sorted(tops.items(), key=lambda x:-x[1])[:40]), flush=True)
                os.write(w,pickle.dumps(res))
            finally: os._exit(0)
        os.close(w); data=b''
        while (c:=os.read(r,65536)): data+=c
        os.close(r); os.waitpid(pid,0); return pickle.loads(data)
    engine.dispose()
    import logging
    s=child('snapshot',train.take_snapshot,run)
    f=[child('fit '+n,train.fit_candidate,run,s,n) for n in p.training.candidates]
    d=child('compare',train.compare_and_decide,run,s,f)
    child('apply',train.apply_decision,run,d)
    child('drift',monitor.measure_drift,run)
    child('error',monitor.measure_error,run)
    child('score',score.predict,run)
