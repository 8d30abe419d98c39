-- An answer to plain inputs has neither time; seven thousand of them a second are not to be indexed by what they lack.
drop index ml.prediction_by_time, ml.prediction_by_target;
create index prediction_by_time on ml.prediction (pipeline, valid_at) where valid_at is not null;
create index prediction_by_target on ml.prediction (pipeline, target_at) where target_at is not null;
